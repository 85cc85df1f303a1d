/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - a list of texts for a query.
 */
#include "cdc/migrate/schema/names.h"

#define ARRAY_BYTES_MAX ((size_t) 256 << 20)

void names_init(struct names *names) {
    buffer_init(&names->array, ARRAY_BYTES_MAX);
}

void names_release(struct names *names) {
    buffer_release(&names->array);
}

bool names_add(void *context, struct slice name) {
    struct names *names = context;
    buffer_append_text(&names->array, names->array.size == 0 ? "{\"" : ",\"");
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            buffer_append_u8(&names->array, '\\');
        buffer_append_u8(&names->array, (uint8_t) name.data[i]);
    }
    buffer_append_text(&names->array, "\"");
    return true;
}

const char *names_end(struct names *names) {
    buffer_append_text(&names->array, names->array.size == 0 ? "{}" : "}");
    return buffer_text(&names->array);
}
