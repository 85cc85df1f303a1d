/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_plan.h - the plan of a copy in chunks, as an archive has it.
 *
 * Each change of the plan is an entry among those of the group that it belongs to, so both count or neither.
 * A segment that begins while the copy goes on begins with the whole plan. So the last segment that has a
 * group has the plan. Its records are those of sinks/plan_record.h.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/json_writer.h"
#include "proto/entry.h"
#include "sinks/chunk.h"

struct archive_plan {
    struct arena arena;
    struct json_writer json;
    struct chunk_plan head; /* without its chunks */
    struct chunk *chunks;   /* the one with the id N is at N - 1; id 0: none */
    size_t capacity;
    size_t count; /* 0: no copy goes on */
};

void archive_plan_init(struct archive_plan *plan);
void archive_plan_release(struct archive_plan *plan);

/* Reads the plan of the archive in this directory. ERROR_REFUSE for what is damaged. */
MUST_CHECK bool archive_plan_read(struct archive_plan *plan, const char *directory, struct error *err);

/* As the engine gets it; in arena, but the texts, which live as long as the plan. */
MUST_CHECK bool archive_plan_give(const struct archive_plan *plan, struct arena *arena,
                                  struct chunk_plan *ret_plan, struct error *err);

/* The chunk with this id, which exists. */
struct chunk *archive_plan_chunk(struct archive_plan *plan, uint32_t id);

/* Keeps a copy of the chunk. */
MUST_CHECK bool archive_plan_put(struct archive_plan *plan, const struct chunk *chunk, struct error *err);
void archive_plan_remove(struct archive_plan *plan, uint32_t id);
/* The copy is complete. Where its last row is stays known. */
void archive_plan_end(struct archive_plan *plan);

/* The largest id; 0: there is none. */
uint32_t archive_plan_last_id(const struct archive_plan *plan);

/* Appends the entry of the plan itself, or of the chunk with this id: it is removed if it does not exist. */
MUST_CHECK bool archive_plan_write_head(struct archive_plan *plan, struct buffer *plain, struct error *err);
MUST_CHECK bool archive_plan_write_chunk(struct archive_plan *plan, uint32_t id, struct buffer *plain,
                                         struct error *err);
