/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_copy.c - the initial copy in one step.
 */
#include "sinks/mapping/mapped_parts.h"

static bool mapped_begin(struct sink *sink, const struct table *tables, size_t count, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct mapped_tables *mapped = &mapped_of(sink)->tables;
    left_out_forget(&mapped_of(sink)->left_out);
    if (!mapped_tables_make(mapped, sink->config->mapping, sink->config->name, tables, count,
                            &mapped_of(sink)->evaluator, err) ||
        !inner->ops->copy->begin(inner, mapped->tables, count, err))
        return mapped_hand_out(sink, false);
    mapped_tables_take_columns(mapped);
    return mapped_hand_out(sink, true);
}

static bool mapped_accepts_binary(struct sink *sink, const struct table *table) {
    struct sink *inner = mapped_inner(sink);
    const struct mapped_tables *tables = &mapped_of(sink)->tables;
    const size_t i = mapped_tables_find(tables, table->oid);
    return i < tables->count && mapped_tables_keep(tables, i) &&
           inner->ops->copy->accepts_binary(inner, &tables->tables[i]);
}

bool mapped_copy_begin(struct mapped_sink *mapped, size_t i, const struct table *table, struct error *err) {
    struct mapped_tables *tables = &mapped->tables;
    mapped->maps_rows = !mapped_tables_keep(tables, i);
    mapped->copied_table = i;
    return !mapped->maps_rows || copy_map_begin(&mapped->copy, &tables->maps[i], table, &tables->tables[i],
                                                &mapped->evaluator, &tables->arena, err);
}

static bool mapped_table(struct sink *sink, const struct table *table, enum copy_format format,
                         struct error *err) {
    struct sink *inner = mapped_inner(sink);
    const struct mapped_tables *tables = &mapped_of(sink)->tables;
    const size_t i = mapped_tables_find(tables, table->oid);
    if (i == tables->count)
        return error_set(err, ERROR_PROTOCOL, "table %s.%s is not one of the copy's", table->schema,
                         table->name);
    return mapped_copy_begin(mapped_of(sink), i, table, err) &&
           mapped_hand_out(sink, inner->ops->copy->table(inner, &tables->tables[i], format, err));
}

static bool mapped_data(struct sink *sink, struct slice bytes, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct mapped_sink *mapped = mapped_of(sink);
    return (!mapped->maps_rows || copy_map_rows(&mapped->copy, bytes, &bytes, err)) &&
           mapped_hand_out(sink, inner->ops->copy->data(inner, bytes, err));
}

bool mapped_copy_count(struct mapped_sink *mapped, struct error *err) {
    const struct table_map *map = &mapped->tables.maps[mapped->copied_table];
    const uint64_t count = mapped->maps_rows ? mapped->copy.left_out : 0;
    return count == 0 || left_out_add(&mapped->left_out, map->rule->match, map->source_name, 0, count, err);
}

static bool mapped_table_end(struct sink *sink, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->copy->table_end(inner, err)) &&
           mapped_copy_count(mapped_of(sink), err);
}

static bool mapped_end(struct sink *sink, const struct position *position, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->copy->end(inner, position, err)) &&
           mapped_count(mapped_of(sink), err);
}

const struct sink_copy_ops MAPPED_COPY = {
    .begin = mapped_begin,
    .accepts_binary = mapped_accepts_binary,
    .table = mapped_table,
    .data = mapped_data,
    .table_end = mapped_table_end,
    .end = mapped_end,
};
