/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_counts.c - tables only join, in the order in which they change.
 */
#include "cdc/engine/table_counts.h"

#include <stdio.h>

/* The end of a name that is too long is cut off, but no part of a character is left. */
static void name_table(struct table_count *table, struct slice schema, struct slice name) {
    snprintf(table->name, sizeof table->name, "%.*s.%.*s", (int) schema.size, schema.data, (int) name.size,
             name.data);
    size_t length = strlen(table->name);
    if (length < schema.size + 1 + name.size)
        while (length > 0 && ((unsigned char) table->name[length - 1] & 0x80) != 0)
            table->name[--length] = '\0';
}

struct table_count *table_counts_find(struct table_counts *counts, oid_t oid, struct slice schema,
                                      struct slice name) {
    const size_t count = atomic_load_explicit(&counts->count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++)
        if (counts->tables[i].oid == oid)
            return &counts->tables[i];
    if (count == TABLE_COUNTS_MAX)
        return &counts->others;
    struct table_count *table = &counts->tables[count];
    table->oid = oid;
    name_table(table, schema, name);
    atomic_store_explicit(&counts->count, count + 1, memory_order_release);
    return table;
}

const char *table_op_name(enum table_op op) {
    static const char *const NAMES[TABLE_OPS] = {[TABLE_INSERT] = "insert",
                                                 [TABLE_UPDATE] = "update",
                                                 [TABLE_DELETE] = "delete",
                                                 [TABLE_TRUNCATE] = "truncate",
                                                 [TABLE_READ] = "read"};
    return NAMES[op];
}
