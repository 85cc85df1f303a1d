/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.c - finds a key in its table.
 */
#include "cdc/base/option.h"

#include <string.h>

const struct option_spec *option_find(const struct option_spec *specs, const char *key) {
    for (; specs->key != NULL; specs++)
        if (strcmp(specs->key, key) == 0)
            return specs;
    return NULL;
}
