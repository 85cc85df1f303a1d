/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_table.c - see plain_table.h.
 */
#include "tests/support/plain_table.h"

#include <stdlib.h>

#include "decoder/builtin_type.h"

struct target_table *plain_table(struct change_builder *builder, const struct relation *relation) {
    struct target_table *table = arena_alloc_zero(&builder->arena, sizeof *table);
    struct target_column *columns =
        arena_alloc_zero(&builder->arena, (relation->column_count + 1) * sizeof *columns);
    uint32_t *keys = arena_alloc_zero(&builder->arena, (relation->column_count + 1) * sizeof *keys);
    if (table == NULL || columns == NULL || keys == NULL)
        abort();
    *table = (struct target_table){.relation = relation,
                                   .oid = relation->oid,
                                   .name = relation->name.data,
                                   .has_key = relation->key_count > 0,
                                   .key_names = "key",
                                   .key_columns = keys,
                                   .written_count = relation->column_count,
                                   .column_count = relation->column_count,
                                   .columns = columns};
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct column *source = &relation->columns[i];
        columns[i] = (struct target_column){.name = source->name.data,
                                            .type_oid = source->type_oid,
                                            .array_oid = builtin_type_array(source->type_oid),
                                            .delimiter = ',',
                                            .equals = "=",
                                            .is_written = true,
                                            .takes_binary = true,
                                            .is_key = source->is_key};
        if (source->is_key)
            keys[table->key_count++] = i;
    }
    return table;
}
