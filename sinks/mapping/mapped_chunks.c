/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_chunks.c - a copy in chunks: the plan has the source's names, and the sink gets its own with each
 * chunk.
 *
 * The engine divides tables, asks the source for rows, and compares keys of the stream with chunks. All that
 * is about the source's columns, so they are what a plan stores. Only where a sink removes rows does it need
 * its own names: with a chunk that begins, and with a table that is emptied.
 */
#include <stdio.h>

#include "sinks/mapping/mapped_parts.h"
#include "sinks/mapping/match.h"
#include "sinks/mapping/owned.h"
#include "sinks/mapping/rule_columns.h"

enum {
    NOTE_BLOCK_BYTES = 4096,
    CHUNK_ROWS_BITS = 32, /* of a copied row's number, after that of its chunk */
};

#define NOTE_BYTES_MAX ((size_t) 64 << 20)

/* ---- the plan ---- */

static bool chunks_can(const struct sink *sink, const char **ret_reason) {
    const struct sink *inner = mapped_inner((struct sink *) (uintptr_t) sink);
    return inner->ops->chunk->can(inner, ret_reason);
}

static bool chunks_find_parts(struct sink *sink, struct table *tables, size_t count, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct mapped_tables *mapped = &mapped_of(sink)->tables;
    if (!inner->ops->chunk->find_parts(inner, mapped->tables, count, err))
        return mapped_hand_out(sink, false);
    mapped_tables_take_parts(mapped, tables);
    return true;
}

static bool chunks_store(struct sink *sink, const struct chunk_plan *plan, const struct position *position,
                         struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->chunk->store(inner, plan, position, err));
}

static bool chunks_load(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                        struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->chunk->load(inner, arena, ret_plan, err));
}

static bool own_emptied(const struct chunk *chunk, const struct rule *rule, struct arena *arena,
                        const char **ret_sql, struct error *err) {
    const size_t size = strlen(chunk->schema) + strlen(chunk->table) + 2;
    char *source_name = arena_alloc(arena, size);
    if (source_name == NULL)
        return error_no_memory(err);
    snprintf(source_name, size, "%s.%s", chunk->schema, chunk->table);
    return owned_sql(rule, source_name, arena, ret_sql, err);
}

/* The chunk of a table that is emptied, with the table's name in the sink. */
static bool name_emptied(struct sink *sink, const struct chunk *chunk, struct arena *arena,
                         const struct chunk **ret_chunk, struct error *err) {
    struct chunk *named = arena_alloc(arena, sizeof *named);
    const struct rule *rule = NULL;
    struct mapped_name name = {.schema = chunk->schema, .table = chunk->table};
    if (named == NULL)
        return error_no_memory(err);
    if (!rule_find(sink->config->mapping, sink->config->name, chunk->schema, chunk->table, &rule, err) ||
        (rule != NULL && !rule_name(rule, chunk->schema, chunk->table, arena, &name, err)))
        return false;
    *named = *chunk;
    if (rule != NULL && !own_emptied(chunk, rule, arena, &named->owned_sql, err))
        return false;
    named->schema = name.schema;
    named->table = name.table;
    *ret_chunk = named;
    return true;
}

static bool chunks_note(struct sink *sink, const struct chunk_note *note, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct chunk_note mapped = *note;
    struct arena arena AUTO(arena_release);
    arena_init(&arena, NOTE_BLOCK_BYTES, NOTE_BYTES_MAX);
    const struct chunk **emptied = arena_alloc(&arena, (note->emptied_count + 1) * sizeof *emptied);
    if (emptied == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < note->emptied_count; i++)
        if (!name_emptied(sink, note->emptied[i], &arena, &emptied[i], err))
            return false;
    mapped.emptied = emptied;
    return mapped_hand_out(sink, inner->ops->chunk->note(inner, &mapped, err));
}

static bool chunks_define(struct sink *sink, const struct relation *relation, lsn_t lsn, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    const struct relation *mapped = NULL;
    return row_map_define(&mapped_of(sink)->rows, relation, &mapped, err) &&
           mapped_hand_out(sink, inner->ops->chunk->define(inner, mapped, lsn, err));
}

/* ---- a sink with one writer: its rows are changes ---- */

static bool chunks_mark(struct sink *sink, const struct chunk *chunk, lsn_t read_lsn, lsn_t row_lsn,
                        uint64_t row_index, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->chunk->mark(inner, chunk, read_lsn, row_lsn, row_index, err));
}

static bool chunks_extend(struct sink *sink, const struct chunk *chunks, size_t count, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->chunk->extend(inner, chunks, count, err));
}

static bool chunks_withdraw(struct sink *sink, oid_t relation_oid, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->chunk->withdraw(inner, relation_oid, err));
}

/* ---- a copier ---- */

static bool chunks_open(struct sink *copier, const struct sink *sink, struct error *err) {
    struct sink *inner = mapped_inner(copier);
    copier->facts.columns = sink->facts.columns;
    inner->facts = copier->facts;
    return mapped_hand_out(
        copier, inner->ops->chunk->open(inner, mapped_inner((struct sink *) (uintptr_t) sink), err));
}

/* About the source's columns, which a rule does not change. */
static bool chunks_has_columns(struct sink *copier, const struct table *table, enum sink_columns *ret_answer,
                               struct error *err) {
    struct sink *inner = mapped_inner(copier);
    return mapped_hand_out(copier, inner->ops->chunk->has_columns(inner, table, ret_answer, err));
}

static bool chunks_prepare(struct sink *copier, struct table *table, struct error *err) {
    struct sink *inner = mapped_inner(copier);
    struct mapped_tables *tables = &mapped_of(copier)->tables;
    if (!mapped_tables_make(tables, copier->config->mapping, copier->config->name, table, 1,
                            &mapped_of(copier)->evaluator, err) ||
        !rule_columns_check_chunk(copier->config, copier->facts.columns, &tables->maps[0], &tables->tables[0],
                                  err) ||
        !inner->ops->chunk->prepare(inner, &tables->tables[0], err))
        return mapped_hand_out(copier, false);
    mapped_tables_take_columns(tables);
    return true;
}

static bool chunks_empty(struct sink *copier, const struct table *table, const struct chunk *chunk,
                         struct error *err) {
    struct sink *inner = mapped_inner(copier);
    const struct mapped_tables *tables = &mapped_of(copier)->tables;
    const struct chunk mapped = table != NULL ? mapped_tables_chunk(tables, 0, chunk) : *chunk;
    return mapped_hand_out(
        copier, inner->ops->chunk->empty(inner, table != NULL ? &tables->tables[0] : NULL, &mapped, err));
}

static bool chunks_begin(struct sink *copier, const struct table *table, const struct chunk *chunk,
                         enum copy_format format, struct error *err) {
    struct sink *inner = mapped_inner(copier);
    const struct mapped_tables *tables = &mapped_of(copier)->tables;
    const struct chunk mapped = mapped_tables_chunk(tables, 0, chunk);
    left_out_forget(&mapped_of(copier)->left_out);
    if (!mapped_copy_begin(mapped_of(copier), 0, table, err))
        return false;
    mapped_of(copier)->copy.row_count = (uint64_t) chunk->id << CHUNK_ROWS_BITS;
    return mapped_hand_out(copier, inner->ops->chunk->begin(inner, &tables->tables[0], &mapped, format, err));
}

static bool chunks_end(struct sink *copier, const struct table *table, const struct chunk *chunk,
                       lsn_t read_lsn, uint64_t rows, struct error *err) {
    struct sink *inner = mapped_inner(copier);
    const struct mapped_tables *tables = &mapped_of(copier)->tables;
    return mapped_hand_out(copier, inner->ops->chunk->end(inner, table != NULL ? &tables->tables[0] : NULL,
                                                          chunk, read_lsn, rows, err)) &&
           (table == NULL ||
            (mapped_copy_count(mapped_of(copier), err) && mapped_count(mapped_of(copier), err)));
}

static bool chunks_table_end(struct sink *copier, const struct table *table, struct error *err) {
    struct sink *inner = mapped_inner(copier);
    struct mapped_tables *tables = &mapped_of(copier)->tables;
    return mapped_tables_make(tables, copier->config->mapping, copier->config->name, table, 1, NULL, err) &&
           mapped_hand_out(copier, inner->ops->chunk->table_end(inner, &tables->tables[0], err));
}

/* ---- for commands ---- */

static bool chunks_add_begin(struct sink *sink, struct table *tables, size_t count, bool replaces,
                             struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct mapped_tables *mapped = &mapped_of(sink)->tables;
    if (!mapped_tables_make(mapped, sink->config->mapping, sink->config->name, tables, count,
                            &mapped_of(sink)->evaluator, err) ||
        !inner->ops->chunk->add_begin(inner, mapped->tables, count, replaces, err))
        return mapped_hand_out(sink, false);
    mapped_tables_take_parts(mapped, tables);
    return true;
}

static bool chunks_add(struct sink *sink, struct chunk *chunks, size_t count, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->chunk->add(inner, chunks, count, err));
}

static bool chunks_look(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                        struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return inner->ops->chunk->look(inner, arena, ret_plan, err);
}

static bool chunks_remove(struct sink *sink, oid_t relation_oid, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return inner->ops->chunk->remove(inner, relation_oid, err);
}

/* A table whose rows are kept in another mode, or are candidates, is not copied over its rows. */
static bool find_replaceable(const struct sink *sink, const struct catalog_tables *tables,
                             struct arena *arena, struct catalog_tables *ret_tables, struct error *err) {
    struct catalog_table *chosen = arena_alloc(arena, (tables->count + 1) * sizeof *chosen);
    if (chosen == NULL)
        return error_no_memory(err);
    *ret_tables = (struct catalog_tables){.tables = chosen};
    for (size_t i = 0; i < tables->count; i++) {
        const struct catalog_table *table = &tables->tables[i];
        const struct rule *rule = NULL;
        if (!rule_find(sink->config->mapping, sink->config->name, table->schema.data, table->table.data,
                       &rule, err))
            return false;
        if (rule == NULL || (rule->mode == ROWS_MERGED && rule->policy == NULL))
            chosen[ret_tables->count++] = *table;
    }
    return true;
}

/* The answer is about the source's tables. */
static bool chunks_find_rewritten(struct sink *sink, const struct catalog_tables *tables, oid_t *ret_oids,
                                  size_t max, size_t *ret_count, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct catalog_tables chosen;
    struct arena arena AUTO(arena_release);
    arena_init(&arena, NOTE_BLOCK_BYTES, NOTE_BYTES_MAX);
    return find_replaceable(sink, tables, &arena, &chosen, err) &&
           inner->ops->chunk->find_rewritten(inner, &chosen, ret_oids, max, ret_count, err);
}

#define IF_PRESENT(name, function) .name = chunk->name != NULL ? (function) : NULL

const struct sink_chunk_ops *mapped_chunk_ops(const struct sink_chunk_ops *chunk, struct arena *arena) {
    struct sink_chunk_ops *ops = arena_alloc(arena, sizeof *ops);
    if (ops == NULL)
        return NULL;
    *ops = (struct sink_chunk_ops){
        IF_PRESENT(can, chunks_can),
        IF_PRESENT(find_parts, chunks_find_parts),
        IF_PRESENT(store, chunks_store),
        IF_PRESENT(load, chunks_load),
        IF_PRESENT(note, chunks_note),
        IF_PRESENT(define, chunks_define),
        IF_PRESENT(mark, chunks_mark),
        IF_PRESENT(extend, chunks_extend),
        IF_PRESENT(withdraw, chunks_withdraw),
        IF_PRESENT(open, chunks_open),
        IF_PRESENT(has_columns, chunks_has_columns),
        IF_PRESENT(prepare, chunks_prepare),
        IF_PRESENT(empty, chunks_empty),
        IF_PRESENT(begin, chunks_begin),
        IF_PRESENT(end, chunks_end),
        IF_PRESENT(table_end, chunks_table_end),
        IF_PRESENT(add_begin, chunks_add_begin),
        IF_PRESENT(add, chunks_add),
        IF_PRESENT(look, chunks_look),
        IF_PRESENT(remove, chunks_remove),
        IF_PRESENT(find_rewritten, chunks_find_rewritten),
    };
    return ops;
}
