/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_sink.c - the stream: changes go in mapped, and what the other sink answers comes out.
 */
#include "sinks/mapping/mapped_sink.h"

#include <stddef.h>

#include "sinks/mapping/mapped_facts.h"
#include "sinks/mapping/mapped_parts.h"

enum { FACTS_BLOCK_BYTES = 64 * 1024 };

#define FACTS_BYTES_MAX ((size_t) 1 << 30)

/* ---- the other sink ---- */

static size_t inner_offset(void) {
    const size_t align = _Alignof(max_align_t);
    return (sizeof(struct mapped_sink) + align - 1) / align * align;
}

static void init_parts(struct sink *sink) {
    struct mapped_sink *mapped = mapped_of(sink);
    evaluator_init(&mapped->evaluator, sink->config, sink->stop);
    rule_columns_init(&mapped->columns, sink->config);
    row_map_init(&mapped->rows, sink->config->mapping, sink->config->name, &mapped->evaluator);
    mapped->rows.columns = &mapped->columns;
    left_out_init(&mapped->left_out);
    mapped->rows.left_out_by_rule = &mapped->left_out;
    mapped_tables_init(&mapped->tables);
}

/* Each attempt of a pipeline has a stop flag of its own. A copier's thread only reads what is there. */
struct sink *mapped_inner(struct sink *sink) {
    struct sink *inner = (struct sink *) (void *) ((char *) sink + inner_offset());
    if (inner->stop != sink->stop) {
        inner->stop = sink->stop;
        mapped_of(sink)->evaluator.stop = sink->stop;
    }
    if (inner->ops != NULL)
        return inner;
    inner->ops = sink->config->mapped;
    inner->config = sink->config;
    inner->news.bytes_max = sink->news.bytes_max;
    init_parts(sink);
    return inner;
}

bool mapped_hand_out(struct sink *sink, bool result) {
    struct sink *inner = mapped_inner(sink);
    if (inner->lack.relation_oid != 0 || inner->lack.column.relation_oid != 0)
        sink->lack = inner->lack;
    row_map_name_source(&mapped_of(sink)->rows, &sink->lack.column);
    inner->lack = (struct sink_lack){0};
    sink->wants_rows |= inner->wants_rows;
    inner->wants_rows = false;
    buffer_append_slice(&sink->news, buffer_slice(&inner->news));
    buffer_release(&inner->news);
    for (size_t kind = 0; kind < CONFLICT_KINDS; kind++)
        atomic_store_explicit(&sink->conflicts[kind],
                              atomic_load_explicit(&inner->conflicts[kind], memory_order_relaxed),
                              memory_order_relaxed);
    return result;
}

/* ---- the stream ---- */

static bool mapped_open(struct sink *sink, struct position *ret_position, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    inner->facts = sink->facts;
    mapped_of(sink)->columns.memory = sink->facts.columns;
    left_out_forget(&mapped_of(sink)->left_out);
    return mapped_hand_out(sink, inner->ops->open(inner, ret_position, err));
}

static bool mapped_learn(struct sink *sink, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct arena arena AUTO(arena_release);
    arena_init(&arena, FACTS_BLOCK_BYTES, FACTS_BYTES_MAX);
    inner->facts = sink->facts;
    if (sink->facts.tables != NULL && !rule_columns_learn(&mapped_of(sink)->columns, sink->facts.tables, err))
        return false;
    if (inner->ops->learn == NULL)
        return true;
    if (sink->facts.tables != NULL &&
        !mapped_facts_tables(sink->config->mapping, sink->config->name, sink->facts.tables, &arena,
                             &inner->facts.tables, err))
        return false;
    const bool learned = inner->ops->learn(inner, err);
    inner->facts.tables = NULL;
    return mapped_hand_out(sink, learned);
}

static bool mapped_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct sink_span mapped;
    struct row_map *rows = &mapped_of(sink)->rows;
    inner->facts = sink->facts;
    if (!row_map_span(rows, span, &mapped, err) ||
        !row_map_name_sinks(rows, sink->facts.generated, sink->facts.generated_count, &inner->facts.generated,
                            err))
        return false;
    sink->left_out = rows->left_out;
    return mapped.count == 0 || mapped_hand_out(sink, inner->ops->write(inner, &mapped, err));
}

bool mapped_count(struct mapped_sink *mapped, struct error *err) {
    return left_out_move(&mapped->left_out, mapped->sink.config->left_out, err);
}

static bool mapped_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                          struct position *ret_durable, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return mapped_hand_out(sink, inner->ops->commit(inner, position, wait, ret_durable, err)) &&
           (wait == COMMIT_ASK || mapped_count(mapped_of(sink), err));
}

static void mapped_close(struct sink *sink) {
    struct sink *inner = mapped_inner(sink);
    struct mapped_sink *mapped = mapped_of(sink);
    inner->ops->close(inner);
    row_map_release(&mapped->rows);
    rule_columns_release(&mapped->columns);
    evaluator_close(&mapped->evaluator);
    copy_map_release(&mapped->copy);
    mapped_tables_release(&mapped->tables);
    left_out_release(&mapped->left_out);
    init_parts(sink);
}

/* ---- the operations ---- */

const struct sink_ops *mapped_sink_ops(const struct sink_ops *mapped, struct arena *arena) {
    struct sink_ops *ops = arena_alloc(arena, sizeof *ops);
    if (ops == NULL)
        return NULL;
    *ops = *mapped;
    ops->size = inner_offset() + mapped->size;
    ops->open = mapped_open;
    ops->learn = mapped_learn;
    ops->asks_columns = true;
    ops->write = mapped_write;
    ops->commit = mapped_commit;
    ops->close = mapped_close;
    ops->copy = mapped->copy != NULL ? &MAPPED_COPY : NULL;
    ops->chunk = mapped->chunk != NULL ? mapped_chunk_ops(mapped->chunk, arena) : NULL;
    ops->admin = mapped->admin != NULL ? mapped_admin_ops(mapped->admin, arena) : NULL;
    const bool lacks_chunk = mapped->chunk != NULL && ops->chunk == NULL;
    return lacks_chunk || (mapped->admin != NULL && ops->admin == NULL) ? NULL : ops;
}
