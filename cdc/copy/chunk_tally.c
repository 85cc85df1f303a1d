/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_tally.c - counts the chunks of a stored plan.
 */
#include "cdc/copy/chunk_tally.h"

void chunk_tally_add(struct chunk_tally *sum, const struct chunk_tally *tally) {
    sum->chunk_count += tally->chunk_count;
    sum->chunks_done += tally->chunks_done;
    sum->chunks_safe += tally->chunks_safe;
    sum->rows += tally->rows;
    sum->bytes += tally->bytes;
    sum->bytes_done += tally->bytes_done;
    sum->bytes_estimate += tally->bytes_estimate;
    sum->chunks_read += tally->chunks_read;
}

static void count_chunk(const struct chunk *chunk, struct chunk_tally *tally) {
    if (chunk_is_kept(chunk))
        return;
    tally->chunk_count++;
    tally->bytes_estimate += chunk->bytes_estimate;
    if (chunk->state != CHUNK_COPIED)
        return;
    tally->chunks_done++;
    tally->rows += chunk->rows;
    tally->bytes_done += chunk->bytes_estimate;
}

/* Chunks by pages are of one snapshot, which an interruption loses. */
static void count_safe(const struct chunk *chunk, struct chunk_tally *tally) {
    if (chunk->method != CHUNK_BY_PAGES || tally->chunks_done == tally->chunk_count)
        tally->chunks_safe = tally->chunks_done;
}

bool chunk_tally_plan(const struct chunk_plan *plan, struct arena *arena, struct chunk_tally_list *ret_list,
                      struct error *err) {
    struct chunk_tally *tables = arena_alloc_zero(arena, (plan->count + 1) * sizeof *tables);
    size_t count = 0;
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < plan->count; i++) {
        const struct chunk *chunk = &plan->chunks[i];
        struct chunk_tally *tally = &tables[count];
        tally->oid = chunk->relation_oid;
        tally->schema = chunk->schema;
        tally->table = chunk->table;
        count_chunk(chunk, tally);
        if (i + 1 < plan->count && plan->chunks[i + 1].relation_oid == chunk->relation_oid)
            continue;
        count_safe(chunk, tally);
        count += tally->chunk_count > 0;
    }
    *ret_list = (struct chunk_tally_list){.tables = tables, .count = count};
    return true;
}
