/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c - the list of formats.
 */
#include "sinks/formats/format.h"

#include <string.h>

static const struct format_ops *const FORMATS[] = {
    &format_protobuf,
    &format_debezium_json,
};

#define FORMAT_COUNT (sizeof FORMATS / sizeof *FORMATS)

const struct format_ops *format_at(size_t index) {
    return index < FORMAT_COUNT ? FORMATS[index] : NULL;
}

const struct format_ops *format_find(const char *name) {
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (strcmp(FORMATS[i]->name, name) == 0)
            return FORMATS[i];
    return NULL;
}
