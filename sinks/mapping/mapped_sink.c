/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_sink.c - the contract's functions: what goes in is mapped, what comes out is not.
 *
 * The other sink lies behind this one in the same memory, and is made when it is needed first.
 */
#include "sinks/mapping/mapped_sink.h"

#include <stddef.h>
#include <string.h>

#include "sinks/mapping/copy_map.h"
#include "sinks/mapping/row_map.h"

enum { BLOCK_BYTES = 64 * 1024 };

#define TABLES_BYTES_MAX ((size_t) 1 << 30)

struct mapped_sink {
    struct sink sink;
    struct row_map rows;
    struct arena arena; /* of the copy's tables */
    const struct table *sources;
    struct table *tables; /* as the other sink gets them */
    struct table_map *maps;
    size_t table_count;
    const struct table_map *copied; /* the table of the copy; NULL: its rows are passed on */
    struct copy_map copy;
};

/* ---- the other sink ---- */

static size_t inner_offset(void) {
    const size_t align = _Alignof(max_align_t);
    return (sizeof(struct mapped_sink) + align - 1) / align * align;
}

static struct mapped_sink *mapped_of(struct sink *sink) {
    return (struct mapped_sink *) sink;
}

/* Each attempt of a pipeline has a stop flag of its own. */
static struct sink *inner_of(struct sink *sink) {
    struct sink *inner = (struct sink *) (void *) ((char *) sink + inner_offset());
    inner->stop = sink->stop;
    if (inner->ops != NULL)
        return inner;
    struct mapped_sink *mapped = mapped_of(sink);
    inner->ops = sink->config->mapped;
    inner->config = sink->config;
    row_map_init(&mapped->rows, sink->config->mapping, sink->config->name);
    arena_init(&mapped->arena, BLOCK_BYTES, TABLES_BYTES_MAX);
    return inner;
}

/* The engine reads these from the sink that it knows. */
static bool hand_out(struct sink *sink, bool result) {
    struct sink *inner = inner_of(sink);
    if (inner->lack.relation_oid != 0 || inner->lack.column.relation_oid != 0)
        sink->lack = inner->lack;
    row_map_name_source(&mapped_of(sink)->rows, &sink->lack.column);
    inner->lack = (struct sink_lack){0};
    for (size_t kind = 0; kind < CONFLICT_KINDS; kind++)
        atomic_store_explicit(&sink->conflicts[kind],
                              atomic_load_explicit(&inner->conflicts[kind], memory_order_relaxed),
                              memory_order_relaxed);
    return result;
}

/* ---- writing ---- */

static bool mapped_open(struct sink *sink, struct position *ret_position, struct error *err) {
    struct sink *inner = inner_of(sink);
    inner->facts = sink->facts;
    return hand_out(sink, inner->ops->open(inner, ret_position, err));
}

static bool mapped_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct sink *inner = inner_of(sink);
    struct sink_span mapped = *span;
    struct row_map *rows = &mapped_of(sink)->rows;
    inner->facts = sink->facts;
    if (!row_map_changes(rows, span->changes, span->count, &mapped.changes, err) ||
        !row_map_name_sinks(rows, sink->facts.generated, sink->facts.generated_count, &inner->facts.generated,
                            err))
        return false;
    return hand_out(sink, inner->ops->write(inner, &mapped, err));
}

static bool mapped_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                          struct position *ret_durable, struct error *err) {
    struct sink *inner = inner_of(sink);
    return hand_out(sink, inner->ops->commit(inner, position, wait, ret_durable, err));
}

static void mapped_close(struct sink *sink) {
    struct sink *inner = inner_of(sink);
    struct mapped_sink *mapped = mapped_of(sink);
    inner->ops->close(inner);
    row_map_release(&mapped->rows);
    copy_map_release(&mapped->copy);
    arena_release(&mapped->arena);
    row_map_init(&mapped->rows, sink->config->mapping, sink->config->name);
    arena_init(&mapped->arena, BLOCK_BYTES, TABLES_BYTES_MAX);
}

/* ---- the initial copy ---- */

static bool refuse_same(const struct table *one, const struct table *other, const struct table *mapped,
                        struct error *err) {
    return error_set(err, ERROR_CONFIG, "mapping: tables %s.%s and %s.%s would both be %s.%s in the sink",
                     one->schema, one->name, other->schema, other->name, mapped->schema, mapped->name);
}

static bool check_names_differ(const struct mapped_sink *mapped, struct error *err) {
    for (size_t i = 0; i < mapped->table_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(mapped->tables[i].name, mapped->tables[j].name) == 0 &&
                strcmp(mapped->tables[i].schema, mapped->tables[j].schema) == 0)
                return refuse_same(&mapped->sources[j], &mapped->sources[i], &mapped->tables[i], err);
    return true;
}

/* In arena. */
static bool map_tables(struct sink *sink, const struct table *tables, size_t count, struct arena *arena,
                       struct error *err) {
    struct mapped_sink *mapped = mapped_of(sink);
    mapped->sources = tables;
    mapped->table_count = count;
    mapped->tables = arena_alloc_zero(arena, (count + 1) * sizeof *mapped->tables);
    mapped->maps = arena_alloc_zero(arena, (count + 1) * sizeof *mapped->maps);
    if (mapped->tables == NULL || mapped->maps == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!table_map_table(sink->config->mapping, sink->config->name, &tables[i], arena, &mapped->maps[i],
                             &mapped->tables[i], err))
            return false;
    return check_names_differ(mapped, err);
}

/* The sink has said which columns it computes itself. */
static void take_left(const struct mapped_sink *mapped) {
    for (size_t i = 0; i < mapped->table_count; i++)
        for (uint32_t k = 0; k < mapped->maps[i].column_count; k++)
            if (mapped->maps[i].columns[k].from != COLUMN_ADDED)
                mapped->sources[i].columns[mapped->maps[i].columns[k].from].left_to_sink =
                    mapped->tables[i].columns[k].left_to_sink;
}

static bool mapped_begin(struct sink *sink, const struct table *tables, size_t count, struct error *err) {
    struct sink *inner = inner_of(sink);
    struct mapped_sink *mapped = mapped_of(sink);
    if (!map_tables(sink, tables, count, &mapped->arena, err) ||
        !inner->ops->copy->begin(inner, mapped->tables, count, err))
        return hand_out(sink, false);
    take_left(mapped);
    return hand_out(sink, true);
}

static size_t index_of(const struct mapped_sink *mapped, const struct table *table) {
    size_t i = 0;
    while (i < mapped->table_count && mapped->sources[i].oid != table->oid)
        i++;
    return i;
}

static bool mapped_accepts_binary(struct sink *sink, const struct table *table) {
    struct sink *inner = inner_of(sink);
    const struct mapped_sink *mapped = mapped_of(sink);
    const size_t i = index_of(mapped, table);
    return i < mapped->table_count && (mapped->maps[i].rule == NULL || mapped->maps[i].keeps_rows) &&
           inner->ops->copy->accepts_binary(inner, &mapped->tables[i]);
}

static bool mapped_table(struct sink *sink, const struct table *table, enum copy_format format,
                         struct error *err) {
    struct sink *inner = inner_of(sink);
    struct mapped_sink *mapped = mapped_of(sink);
    const size_t i = index_of(mapped, table);
    if (i == mapped->table_count)
        return error_set(err, ERROR_PROTOCOL, "table %s.%s is not one of the copy's", table->schema,
                         table->name);
    const struct table_map *map = &mapped->maps[i];
    mapped->copied = map->rule == NULL || map->keeps_rows ? NULL : map;
    if (mapped->copied != NULL &&
        !copy_map_begin(&mapped->copy, map, table, &mapped->tables[i], &mapped->arena, err))
        return false;
    return hand_out(sink, inner->ops->copy->table(inner, &mapped->tables[i], format, err));
}

static bool mapped_data(struct sink *sink, struct slice bytes, struct error *err) {
    struct sink *inner = inner_of(sink);
    struct mapped_sink *mapped = mapped_of(sink);
    return (mapped->copied == NULL || copy_map_rows(&mapped->copy, bytes, &bytes, err)) &&
           hand_out(sink, inner->ops->copy->data(inner, bytes, err));
}

static bool mapped_table_end(struct sink *sink, struct error *err) {
    struct sink *inner = inner_of(sink);
    return hand_out(sink, inner->ops->copy->table_end(inner, err));
}

static bool mapped_end(struct sink *sink, const struct position *position, struct error *err) {
    struct sink *inner = inner_of(sink);
    return hand_out(sink, inner->ops->copy->end(inner, position, err));
}

static const struct sink_copy_ops MAPPED_COPY = {
    .begin = mapped_begin,
    .accepts_binary = mapped_accepts_binary,
    .table = mapped_table,
    .data = mapped_data,
    .table_end = mapped_table_end,
    .end = mapped_end,
};

/* ---- from outside ---- */

static bool mapped_look(struct sink *sink, struct sink_view *ret_view, struct error *err) {
    struct sink *inner = inner_of(sink);
    return inner->ops->admin->look(inner, ret_view, err);
}

static bool mapped_check(struct sink *sink, const struct sink_check *check, struct error *err) {
    struct sink *inner = inner_of(sink);
    struct sink_check mapped = *check;
    if (!map_tables(sink, check->tables, check->table_count, check->arena, err)) {
        if (err->kind != ERROR_CONFIG)
            return false;
        sink_check_add(check, SINK_PROBLEM, "mapping", "%s", err->text);
        if (err->remedy[0] != '\0')
            sink_check_fix(check, "%s", err->remedy);
        return true;
    }
    mapped.tables = mapped_of(sink)->tables;
    return inner->ops->admin->check(inner, &mapped, err);
}

static bool mapped_drop(struct sink *sink, struct error *err) {
    struct sink *inner = inner_of(sink);
    return inner->ops->admin->drop(inner, err);
}

static bool mapped_find_held(struct sink *sink, const struct table *tables, size_t count,
                             struct sink_held *ret_held, struct error *err) {
    struct sink *inner = inner_of(sink);
    struct mapped_sink *mapped = mapped_of(sink);
    return map_tables(sink, tables, count, &mapped->arena, err) &&
           inner->ops->admin->find_held(inner, mapped->tables, count, ret_held, err);
}

static const struct sink_admin_ops *map_admin(const struct sink_admin_ops *admin, struct arena *arena) {
    struct sink_admin_ops *mapped = arena_alloc(arena, sizeof *mapped);
    if (mapped == NULL)
        return NULL;
    *mapped = (struct sink_admin_ops){
        .look = admin->look != NULL ? mapped_look : NULL,
        .check = admin->check != NULL ? mapped_check : NULL,
        .drop = admin->drop != NULL ? mapped_drop : NULL,
        .find_held = admin->find_held != NULL ? mapped_find_held : NULL,
        .target = admin->target,
    };
    return mapped;
}

const struct sink_ops *mapped_sink_ops(const struct sink_ops *mapped, struct arena *arena) {
    struct sink_ops *ops = arena_alloc(arena, sizeof *ops);
    const struct sink_admin_ops *admin = mapped->admin != NULL ? map_admin(mapped->admin, arena) : NULL;
    if (ops == NULL || (mapped->admin != NULL && admin == NULL))
        return NULL;
    *ops = *mapped;
    ops->size = inner_offset() + mapped->size;
    ops->open = mapped_open;
    ops->write = mapped_write;
    ops->commit = mapped_commit;
    ops->close = mapped_close;
    ops->copy = mapped->copy != NULL ? &MAPPED_COPY : NULL;
    ops->chunk = NULL;
    ops->admin = admin;
    return ops;
}
