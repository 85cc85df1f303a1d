/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - rounds of comparison, and the conclusions drawn from them.
 */
#include "cdc/verify/verify.h"

#include <assert.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/source/catalog.h"
#include "cdc/source/scope.h"
#include "cdc/verify/verify_keys.h"

enum {
    ROUND_INTERVAL_MS = 300,
    STREAK_MIN = 5,    /* rounds with the same difference; more than two: a value may change back and forth */
    ROUNDS_MS = 60000, /* after the first round */
    SAY_INTERVAL_MS = 10000,
};

/* ---- rounds ---- */

static bool prepare_tables(struct verify *verify, const struct config *config, struct arena *arena,
                           struct error *err) {
    struct table_list list;
    if (!scope_check(&verify->sides.source, &config->source, SCOPE_COMPARING, NULL, err))
        return false;
    if (!catalog_read_tables(&verify->sides.source, config->source.publication_array, arena, &list, err))
        return false;
    if (list.count == 0)
        return error_set(err, ERROR_CONFIG,
                         "publication \"%s\" has no tables, so there is nothing to compare",
                         config->source.publication);
    verify->tables = arena_alloc_zero(arena, list.count * sizeof *verify->tables);
    if (verify->tables == NULL)
        return error_no_memory(err);
    verify->count = list.count;
    for (size_t i = 0; i < list.count; i++) {
        struct verify_table *compared = &verify->tables[i];
        compared->table = &list.tables[i];
        if (!verify_expressions_prepare(&compared->expressions, compared->table, &verify->sides, arena, err))
            return false;
        if (compared->expressions.missing != NULL)
            compared->result = VERIFY_MISSING;
    }
    return true;
}

static enum verify_result settled_result(const struct verify_expressions *expressions) {
    if (expressions->left_out != NULL)
        return VERIFY_PARTIAL;
    return expressions->narrows ? VERIFY_NARROWED : VERIFY_EQUAL;
}

static bool compare_tables(struct verify *verify, struct error *err) {
    int64_t said_ms = clock_now_ms();
    for (size_t i = 0; i < verify->count; i++) {
        struct verify_table *compared = &verify->tables[i];
        if (compared->result != VERIFY_UNDECIDED)
            continue;
        if (verify->rounds == 1 ? !verify_table_compare(compared, &verify->sides, err)
                                : !verify_table_compare_again(compared, &verify->sides, err))
            return false;
        if (verify_table_is_settled(compared))
            compared->result = settled_result(&compared->expressions);
        if (clock_now_ms() - said_ms < SAY_INTERVAL_MS)
            continue;
        said_ms = clock_now_ms();
        log_line(LOG_LEVEL_INFO, "verify: %zu of %zu tables compared", i + 1, verify->count);
    }
    return true;
}

/* Keeps the snapshots. */
static bool run_round(struct verify *verify, struct error *err) {
    struct verify_sides *sides = &verify->sides;
    if (!verify_sides_pin(sides, err))
        return false;
    verify->rounds++;
    if (verify->rounds == 1)
        verify->first_lsn = sides->source_lsn;
    verify->last_lsn = sides->source_lsn;
    verify->target_lsn = sides->target_lsn;
    return compare_tables(verify, err);
}

/* ---- conclusions ---- */

static bool all_stand_still(const struct verify_differences *differences) {
    for (size_t i = 0; i < differences->count; i++)
        if (differences->items[i].streak < STREAK_MIN)
            return false;
    return true;
}

static bool some_stand_still(const struct verify_differences *differences) {
    for (size_t i = 0; i < differences->count; i++)
        if (differences->items[i].streak >= STREAK_MIN)
            return true;
    return false;
}

/* If no engine feeds the target, every difference is final; otherwise only one that stays unchanged. */
static bool decide_tables(struct verify *verify) {
    bool all_decided = true;
    for (size_t i = 0; i < verify->count; i++) {
        struct verify_table *compared = &verify->tables[i];
        if (compared->result != VERIFY_UNDECIDED)
            continue;
        if (!verify->sides.is_fed ||
            (all_stand_still(&compared->rows) && all_stand_still(&compared->buckets)))
            compared->result = VERIFY_DIFFERENT;
        else
            all_decided = false;
    }
    return all_decided;
}

/* Time is up: rows that stayed unchanged are differences, the rest is undecided. */
static void decide_rest(struct verify *verify) {
    for (size_t i = 0; i < verify->count; i++) {
        struct verify_table *compared = &verify->tables[i];
        if (compared->result == VERIFY_UNDECIDED)
            compared->result = some_stand_still(&compared->rows) || some_stand_still(&compared->buckets)
                                   ? VERIFY_DIFFERENT
                                   : VERIFY_MOVING;
    }
}

static enum verify_result conclude(const struct verify *verify) {
    enum verify_result result = VERIFY_EQUAL;
    for (size_t i = 0; i < verify->count; i++) {
        switch (verify->tables[i].result) {
        case VERIFY_EQUAL:
            break;
        case VERIFY_NARROWED:
            if (result == VERIFY_EQUAL)
                result = VERIFY_NARROWED;
            break;
        case VERIFY_PARTIAL:
            if (result != VERIFY_MOVING)
                result = VERIFY_PARTIAL;
            break;
        case VERIFY_DIFFERENT:
        case VERIFY_MISSING:
            return VERIFY_DIFFERENT;
        case VERIFY_MOVING:
        case VERIFY_UNDECIDED:
            result = VERIFY_MOVING;
        }
    }
    return result;
}

/* For tables decided in this round: their differences belong to its snapshots. */
static bool read_keys(struct verify *verify, struct error *err) {
    for (size_t i = 0; verify->keys_max > 0 && i < verify->count; i++) {
        struct verify_table *compared = &verify->tables[i];
        if (compared->result != VERIFY_DIFFERENT || compared->keys_are_read)
            continue;
        compared->keys_are_read = true;
        if (!verify_keys_read(compared, &verify->sides, verify->keys_max,
                              verify->sides.is_fed ? STREAK_MIN : 1, err))
            return false;
    }
    return true;
}

static bool run_rounds(struct verify *verify, struct error *err) {
    struct verify_sides *sides = &verify->sides;
    int64_t deadline_ms = 0;
    for (;;) {
        bool ready = false;
        if (!run_round(verify, err))
            return false;
        if (verify->rounds == 1)
            deadline_ms = clock_now_ms() + ROUNDS_MS;
        bool is_last = decide_tables(verify) || clock_now_ms() >= deadline_ms;
        if (is_last)
            decide_rest(verify);
        if (!read_keys(verify, err) || !verify_sides_unpin(sides, err))
            return false;
        if (is_last)
            break;
        if (!session_wait(&sides->source, false, ROUND_INTERVAL_MS, &ready, err))
            return false;
    }
    verify->result = conclude(verify);
    return true;
}

bool verify_run(struct verify *verify, const struct config *config, const struct verify_options *options,
                struct arena *arena, struct error *err) {
    *verify = (struct verify){.sink = &options->sink->sink, .keys_max = options->keys_max};
    return verify_sides_open(&verify->sides, config, options->sink, options->stop, err) &&
           prepare_tables(verify, config, arena, err) && run_rounds(verify, err);
}

void verify_release(struct verify *verify) {
    for (size_t i = 0; i < verify->count; i++)
        verify_table_release(&verify->tables[i]);
    verify_sides_release(&verify->sides);
}
