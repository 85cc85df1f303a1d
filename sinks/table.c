/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - the OIDs of tables, as a query's parameter.
 */
#include "sinks/table.h"

#include <string.h>

#include "cdc/base/buffer.h"

#define OIDS_BYTES_MAX (16u << 20)

const char *table_oids(const struct table *tables, size_t count, struct arena *arena) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = OIDS_BYTES_MAX};
    buffer_append_u8(&text, '{');
    for (size_t i = 0; i < count; i++)
        buffer_printf(&text, "%s%u", i > 0 ? "," : "", tables[i].oid);
    buffer_append_u8(&text, '}');
    return buffer_ok(&text) ? arena_copy(arena, buffer_slice(&text)) : NULL;
}

const struct table_column *table_find_column(const struct table *table, const char *name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}

bool table_has_message_key(const struct table *table) {
    bool has_key = false;
    for (uint32_t i = 0; i < table->column_count; i++)
        has_key |= table->columns[i].in_identity;
    return has_key && table->identity != 'f';
}
