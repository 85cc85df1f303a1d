/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_step.c - a pair of snapshots that is young enough, the locks, the comparison.
 */
#include "cdc/verify/verify_step.h"

#include "cdc/base/clock.h"
#include "cdc/verify/verify_keys.h"

enum {
    PIN_MAX_MS =
        3000, /* a range is not begun in older snapshots, which keep servers from removing old rows */
};

bool verify_step_unpin(struct verify_step *step, struct verify_sides *sides, struct error *err) {
    if (step->pinned_ms == 0)
        return true;
    step->pinned_ms = 0;
    return verify_sides_unpin(sides, err);
}

/* *ret_pinned is false when the obstacle does not go. */
static bool keep_pinned(struct verify_step *step, struct verify_sides *sides, bool *ret_pinned,
                        struct error *err) {
    *ret_pinned = true;
    if (step->pinned_ms != 0 && clock_now_ms() - step->pinned_ms < PIN_MAX_MS)
        return true;
    if (!verify_step_unpin(step, sides, err) || !verify_barrier_pin(&step->barrier, sides, ret_pinned, err))
        return false;
    if (*ret_pinned)
        step->pinned_ms = clock_now_ms();
    return true;
}

static bool compare_range(struct verify_sides *sides, struct verify_table *compared, size_t keys_max,
                          struct error *err) {
    if (!verify_table_compare(compared, sides, err))
        return false;
    compared->lsn = sides->target_lsn;
    if (verify_table_is_settled(compared))
        return true;
    compared->range_differs[compared->range] = true;
    if (!verify_table_find_columns(compared, sides, err) ||
        (keys_max > 0 && !verify_keys_read(compared, sides, keys_max, 1, err)))
        return false;
    verify_table_settle(compared);
    return true;
}

static struct verified_range counts_of(const struct verify_table *compared) {
    return (struct verified_range){.source_rows = compared->source_rows,
                                   .target_rows = compared->target_rows,
                                   .source_hash = compared->source_hash,
                                   .target_hash = compared->target_hash,
                                   .narrowed_rows = compared->narrowed_rows,
                                   .missing = compared->counts.missing,
                                   .extra = compared->counts.extra,
                                   .different = compared->counts.different};
}

static struct verified_range counts_since(const struct verified_range *before,
                                          const struct verified_range *now) {
    return (struct verified_range){.source_rows = now->source_rows - before->source_rows,
                                   .target_rows = now->target_rows - before->target_rows,
                                   .source_hash = hash_sum_subtract(now->source_hash, before->source_hash),
                                   .target_hash = hash_sum_subtract(now->target_hash, before->target_hash),
                                   .narrowed_rows = now->narrowed_rows - before->narrowed_rows,
                                   .missing = now->missing - before->missing,
                                   .extra = now->extra - before->extra,
                                   .different = now->different - before->different};
}

/*
 * A table that is rewritten or truncated shows its new rows in an older snapshot: then another pair is taken.
 */
bool verify_step_compare(struct verify_step *step, struct verify_sides *sides, struct verify_table *compared,
                         size_t keys_max, struct verified_range *ret_counts, enum verify_outcome *ret_outcome,
                         struct error *err) {
    const struct verified_range before = counts_of(compared);
    bool is_pinned = false, is_whole = true;
    if (!keep_pinned(step, sides, &is_pinned, err) ||
        (is_pinned && !verify_table_hold(compared, sides, &is_whole, err)))
        return false;
    *ret_outcome = !is_pinned ? VERIFY_OBSTACLE : !is_whole ? VERIFY_REWRITTEN : VERIFY_COMPARED;
    if (*ret_outcome == VERIFY_REWRITTEN)
        return verify_step_unpin(step, sides, err);
    if (*ret_outcome == VERIFY_OBSTACLE)
        return true;
    if (!compare_range(sides, compared, keys_max, err))
        return false;
    const struct verified_range now = counts_of(compared);
    *ret_counts = counts_since(&before, &now);
    return true;
}
