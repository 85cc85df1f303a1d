/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_columns.c - before streaming: the columns of the source's tables, for the sinks that follow them,
 * or that have rules about them.
 *
 * A table may be altered before its first row comes. Then its first definition does not show what it was
 * before, so the sinks note it at the start.
 */
#include "cdc/engine/attempt.h"
#include "cdc/source/catalog_columns.h"

enum { TABLES_BLOCK_BYTES = 64 * 1024 };

#define TABLES_BYTES_MAX ((size_t) 1 << 30)

static bool has_asker(const struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (attempt->runners[i].sink->ops->asks_columns)
            return true;
    return false;
}

bool attempt_read_tables(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    const struct reader *reader = attempt->reader;
    lsn_t lsn = 0;
    arena_release(&pipeline->tables_arena);
    pipeline->tables = (struct catalog_tables){0};
    if (reader->catalog == NULL || !has_asker(attempt))
        return true;
    arena_init(&pipeline->tables_arena, TABLES_BLOCK_BYTES, TABLES_BYTES_MAX);
    if (!catalog_columns_read(reader->catalog->session, reader->name, 0, &pipeline->tables_arena,
                              &pipeline->tables, &lsn, err))
        return false;
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct sink *sink = attempt->runners[i].sink;
        const char *reason = NULL;
        sink->facts.tables = &pipeline->tables;
        sink->facts.copies_again = attempt_may_add(attempt) && sink->ops->chunk != NULL &&
                                   sink->ops->chunk->find_rewritten != NULL &&
                                   sink->ops->chunk->can(sink, &reason);
    }
    return true;
}
