/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_list.h - letters read, settled and left out by a command, whose target holds its own session.
 */
#pragma once

#include "sinks/dead.h"
#include "sinks/postgres/dead/dead_record.h"
#include "sinks/postgres/target/target.h"

/* Letters to be applied again. */
struct dead_batch {
    struct arena arena;
    struct change *changes;
    const char **ids;
    bool *stays;
    size_t count;
    char after_lsn[32]; /* the place of the last one; the next batch follows it */
    char after_change[24];
    char after_id[24];
};

void dead_batch_init(struct dead_batch *batch);
void dead_batch_release(struct dead_batch *batch);

/* ERROR_CONFIG when the sink has no such table, or no letter of the number wanted->id. */
MUST_CHECK bool dead_list_find(struct target *target, const struct dead_wanted *wanted, struct error *err);

MUST_CHECK bool dead_list_read(struct target *target, const struct dead_wanted *wanted,
                               struct dead_record_reader *reader, dead_letter_fn *take, void *context,
                               struct error *err);

/* What pgcdc.dead_log has of `dead skip`. */
MUST_CHECK bool dead_list_read_skipped(struct target *target, dead_skipped_fn *take, void *context,
                                       struct error *err);

/*
 * Begins a transaction of the target that no transaction of the engine overlaps: it has the lock of the
 * position's row.
 */
MUST_CHECK bool dead_list_begin(struct target *target, struct error *err);

/*
 * The next letters, in the open transaction; batch->count is 0 after the last. Those of wanted->id are one
 * batch: what shares a key with it is only known while it is there.
 */
MUST_CHECK bool dead_batch_read(struct dead_batch *batch, struct target *target,
                                const struct dead_wanted *wanted, struct dead_record_reader *reader,
                                struct error *err);

/* Removes those that do not stay, in the open transaction. */
MUST_CHECK bool dead_batch_settle(const struct dead_batch *batch, struct target *target, const char *done_by,
                                  uint64_t *ret_count, struct error *err);

/* See sink_dead_ops. In the open transaction. */
MUST_CHECK bool dead_list_skip(struct target *target, const struct dead_wanted *wanted, bool with_waiting,
                               const char *reason, const char *done_by, uint64_t *ret_count,
                               struct error *err);

/* Letters that share a key with those of wanted. */
MUST_CHECK bool dead_list_count(struct target *target, const struct dead_wanted *wanted,
                                struct dead_result *ret_result, struct error *err);
