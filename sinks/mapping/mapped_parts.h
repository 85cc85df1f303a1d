/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_parts.h - private to sinks/mapping: a sink with a mapping, for the files that have its functions.
 */
#pragma once

#include "sinks/left_out.h"
#include "sinks/mapping/copy_map.h"
#include "sinks/mapping/evaluator.h"
#include "sinks/mapping/mapped_tables.h"
#include "sinks/mapping/row_map.h"
#include "sinks/mapping/rule_columns.h"
#include "sinks/sink.h"

struct mapped_sink {
    struct sink sink;
    struct evaluator evaluator;  /* of this handle */
    struct rule_columns columns; /* likewise */
    struct row_map rows;
    struct mapped_tables tables; /* of the copy; of a copier, the one that was prepared */
    bool maps_rows;              /* those of the table that is being copied */
    struct copy_map copy;
    size_t copied_table;           /* of tables, while copy is in use */
    struct left_out_list left_out; /* of what is not committed */
};

static inline struct mapped_sink *mapped_of(struct sink *sink) {
    return (struct mapped_sink *) sink;
}

/* The other sink, which lies behind this one in the same memory, and is made when it is needed first. */
struct sink *mapped_inner(struct sink *sink);

/* The engine reads some of the other sink's answers from the sink that it knows. Returns result. */
bool mapped_hand_out(struct sink *sink, bool result);

/* mapped_sink.c: what was left out belongs to what the sink has committed; or that is lost. */
MUST_CHECK bool mapped_count(struct mapped_sink *mapped, struct error *err);

/* mapped_copy.c: the rows of the table were given to the sink. */
MUST_CHECK bool mapped_copy_count(struct mapped_sink *mapped, struct error *err);

/* mapped_copy.c: of a sink that has copy functions. */
extern const struct sink_copy_ops MAPPED_COPY;
/* From here on rows of table i are copied. table: the source's. */
MUST_CHECK bool mapped_copy_begin(struct mapped_sink *mapped, size_t i, const struct table *table,
                                  struct error *err);

/* mapped_admin.c: in arena; NULL when memory is exhausted. */
const struct sink_admin_ops *mapped_admin_ops(const struct sink_admin_ops *admin, struct arena *arena);

/* mapped_chunks.c: in arena; NULL when memory is exhausted. */
const struct sink_chunk_ops *mapped_chunk_ops(const struct sink_chunk_ops *chunk, struct arena *arena);
