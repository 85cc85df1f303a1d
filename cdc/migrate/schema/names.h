/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - a list of texts as the text of an array, {"a","b"}, for a query's parameter.
 */
#pragma once

#include "cdc/base/buffer.h"

struct names {
    struct buffer array;
};

void names_init(struct names *names);
void names_release(struct names *names);

/* names: a struct names. True, whatever memory there is. */
bool names_add(void *names, struct slice name);

/* Nothing is added after it. NULL: memory is exhausted. */
const char *names_end(struct names *names);
