/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_parts.h - the runner's functions, for the files of the runner only.
 *
 * runner.c         its thread: orders, batches, barrier; and the supervisor's side
 * runner_group.c   what it writes, and the group that it commits
 * runner_chunks.c  a copy in chunks beside the stream
 *
 * All are called by the runner's thread.
 */
#pragma once

#include "cdc/engine/runner.h"

/* Changes to be written: those of a batch, or what the filter left of some of them. */
struct part {
    const struct change *changes;
    size_t count;
    size_t whole_count; /* up to the last Commit */
    /* the batch that ends with them, when the group may end with it in one step; or NULL */
    const struct batch *ending;
};

static inline size_t part_count_whole(const struct change *changes, size_t count) {
    while (count > 0 && changes[count - 1].kind != CHANGE_COMMIT)
        count--;
    return count;
}

/* ---- runner.c ---- */

/* The position is durable in the sink. */
void runner_publish(struct runner *runner, const struct position *position);

/* Commits the group before an incomplete transaction, and at the end of the batch when no batch follows. */
MUST_CHECK bool runner_take(struct runner *runner, const struct part *part, struct error *err);

/* ---- runner_group.c ---- */

/* Is everything that is committed durable? */
bool runner_is_settled(const struct runner *runner);

bool runner_group_is_large(const struct runner *runner);

/* Makes everything written visible; also durable when the sink reports that, or when wait demands it. */
MUST_CHECK bool runner_commit(struct runner *runner, enum commit_wait wait, struct error *err);

/* Commits the group: visible, and also durable in careful mode or when the sink makes no difference. */
MUST_CHECK bool runner_end_group(struct runner *runner, struct error *err);

/* Publishes what has become durable in the background. */
MUST_CHECK bool runner_settle(struct runner *runner, struct error *err);

/* Writes what the sink lacks, in spans as long as possible. ending: see struct part; of the last span. */
MUST_CHECK bool runner_write(struct runner *runner, const struct change *changes, size_t count,
                             const struct batch *ending, struct error *err);

/* ---- runner_chunks.c ---- */

/* What happened to the chunks is committed with the changes that it concerns. */
MUST_CHECK bool runner_note_chunks(struct runner *runner, struct error *err);

/* Takes what the chunks do not contain. False without an error: runner->gives_up. */
MUST_CHECK bool runner_take_filtered(struct runner *runner, const struct change *changes, size_t count,
                                     struct error *err);

/* Reads the plan of a copy in chunks, if the sink has one. */
MUST_CHECK bool runner_load_plan(struct runner *runner, struct error *err);
MUST_CHECK bool runner_start_copiers(struct runner *runner, struct error *err);
void runner_forget_copy(struct runner *runner);

/* Between two transactions: what the copiers have not committed is read again, when that is asked for. */
MUST_CHECK bool runner_reload_plan(struct runner *runner, struct error *err);

/* Looks for an error of the copiers, a request to reload, and the end of the copy. */
MUST_CHECK bool runner_watch_copy(struct runner *runner, struct error *err);
