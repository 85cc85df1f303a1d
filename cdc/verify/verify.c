/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - rounds of comparison, and the conclusions drawn from them.
 */
#include "cdc/verify/verify.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/source/catalog.h"
#include "cdc/source/scope.h"
#include "cdc/verify/verify_keys.h"
#include "cdc/verify/verify_ranges.h"

enum {
    ROUND_INTERVAL_MS = 300,
    STREAK_MIN = 5,    /* rounds with the same difference; more than two: a value may change back and forth */
    ROUNDS_MS = 60000, /* after the first round */
    SAY_INTERVAL_MS = 10000,
    REWRITES_MAX = 20,
};

/* ---- tables ---- */

/* "schema.table", or the table's name alone. */
static bool is_named(const struct table *table, const char *name) {
    const size_t length = strlen(table->schema);
    return strcmp(table->name, name) == 0 ||
           (strncmp(table->schema, name, length) == 0 && name[length] == '.' &&
            strcmp(table->name, name + length + 1) == 0);
}

/* Keeps the tables that the command names; each name must stand for one. */
static bool choose_tables(struct table_list *list, const struct verify_options *options, struct arena *arena,
                          struct error *err) {
    struct table *chosen = arena_alloc(arena, (list->count + 1) * sizeof *chosen);
    size_t kept = 0;
    if (chosen == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < options->table_count; i++) {
        size_t found = 0;
        for (size_t j = 0; j < list->count; j++)
            found += is_named(&list->tables[j], options->tables[i]);
        if (found != 1)
            return error_set(err, ERROR_CONFIG, "--table %s: %s published table has this name",
                             options->tables[i], found == 0 ? "no" : "more than one");
    }
    for (size_t j = 0; j < list->count; j++) {
        bool is_wanted = options->table_count == 0;
        for (size_t i = 0; i < options->table_count; i++)
            is_wanted |= is_named(&list->tables[j], options->tables[i]);
        if (is_wanted)
            chosen[kept++] = list->tables[j];
    }
    *list = (struct table_list){.tables = chosen, .count = kept};
    return true;
}

/* A rule may make other values of what the condition is about. */
static bool check_where(const struct verify_table *compared, struct comparison *comparison,
                        struct error *err) {
    return compared->where_sql == NULL || compared->comparison->missing != NULL ||
           comparison->ops->check_where == NULL ||
           comparison->ops->check_where(comparison, compared->comparison, compared->where_sql, err);
}

static bool prepare_tables(struct verify *verify, const struct config *config,
                           const struct verify_options *options, struct arena *arena, struct error *err) {
    struct table_list list;
    if (!scope_check(&verify->sides.source, &config->source, SCOPE_COMPARING, NULL, err))
        return false;
    if (!catalog_read_tables(&verify->sides.source, config->source.publication_array, arena, &list, err))
        return false;
    if (list.count == 0)
        return error_set(err, ERROR_CONFIG,
                         "publication \"%s\" has no tables, so there is nothing to compare",
                         config->source.publication);
    if (!choose_tables(&list, options, arena, err))
        return false;
    verify->tables = arena_alloc_zero(arena, list.count * sizeof *verify->tables);
    if (verify->tables == NULL)
        return error_no_memory(err);
    verify->count = list.count;
    for (size_t i = 0; i < list.count; i++) {
        struct verify_table *compared = &verify->tables[i];
        compared->table = &list.tables[i];
        compared->where_sql = options->where_sql;
        struct comparison *comparison = verify->sides.comparison;
        if (!comparison->ops->prepare(comparison, compared->table, arena, &compared->comparison, err))
            return false;
        if (compared->comparison->missing != NULL)
            compared->result = VERIFY_MISSING;
        if (!check_where(compared, comparison, err))
            return false;
    }
    return true;
}

static bool is_proved(enum verify_result result) {
    return result == VERIFY_EQUAL || result == VERIFY_NARROWED || result == VERIFY_PARTIAL ||
           result == VERIFY_MISSING;
}

/* The target has not got all rows of a table while a chunk of it waits. */
static bool leave_out_copying(struct verify *verify, struct arena *arena, struct error *err) {
    struct verify_sides *sides = &verify->sides;
    struct chunk_plan plan = {0};
    if (sides->ops->chunk == NULL)
        return true;
    struct sink *handle = sink_new(sides->ops, sides->sink, sides->stop);
    const bool looked =
        handle != NULL ? sides->ops->chunk->look(handle, arena, &plan, err) : error_no_memory(err);
    sink_free(handle);
    for (size_t i = 0; i < plan.count; i++)
        for (size_t j = 0; j < verify->count && plan.chunks[i].state != CHUNK_COPIED; j++) {
            struct verify_table *compared = &verify->tables[j];
            if (compared->table->oid == plan.chunks[i].relation_oid && !is_proved(compared->result))
                compared->result = VERIFY_COPYING;
        }
    return looked;
}

/* ---- rounds ---- */

static enum verify_result settled_result(const struct verify_table *compared) {
    if (verify_table_has_faults(compared))
        return VERIFY_DIFFERENT;
    if (compared->comparison->left_out != NULL)
        return VERIFY_PARTIAL;
    return compared->comparison->narrows ? VERIFY_NARROWED : VERIFY_EQUAL;
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
            compared->result = settled_result(compared);
        if (clock_now_ms() - said_ms < SAY_INTERVAL_MS)
            continue;
        said_ms = clock_now_ms();
        log_line(LOG_VERIFY_PROGRESS, "verify: %zu of %s compared", i + 1,
                 amount_count(verify->count, "table").text);
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

static bool all_stand_still(const struct differences *differences) {
    for (size_t i = 0; i < differences->count; i++)
        if (differences->items[i].streak < STREAK_MIN)
            return false;
    return true;
}

static bool some_stand_still(const struct differences *differences) {
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
            compared->result = verify->is_doubtful ? VERIFY_MOVING : VERIFY_DIFFERENT;
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
            compared->result = !verify->is_doubtful && (some_stand_still(&compared->rows) ||
                                                        some_stand_still(&compared->buckets))
                                   ? VERIFY_DIFFERENT
                                   : VERIFY_MOVING;
    }
}

/* What proves less outranks; a difference outranks all. */
static enum verify_result conclude(const struct verify *verify) {
    static const int RANKS[] = {
        [VERIFY_EQUAL] = 0,  [VERIFY_NARROWED] = 1,  [VERIFY_PARTIAL] = 2,   [VERIFY_COPYING] = 3,
        [VERIFY_MOVING] = 4, [VERIFY_UNDECIDED] = 4, [VERIFY_DIFFERENT] = 5, [VERIFY_MISSING] = 5,
    };
    enum verify_result result = VERIFY_EQUAL;
    for (size_t i = 0; i < verify->count; i++)
        if (RANKS[verify->tables[i].result] > RANKS[result])
            result = verify->tables[i].result;
    return result == VERIFY_MISSING ? VERIFY_DIFFERENT : result == VERIFY_UNDECIDED ? VERIFY_MOVING : result;
}

/* For tables decided in this round: their differences belong to its snapshots. */
static bool read_keys(struct verify *verify, struct error *err) {
    for (size_t i = 0; i < verify->count; i++) {
        struct verify_table *compared = &verify->tables[i];
        if (compared->result != VERIFY_DIFFERENT || compared->is_looked_into)
            continue;
        compared->is_looked_into = true;
        if (!verify_table_find_columns(compared, &verify->sides, err) ||
            !verify_keys_read(compared, &verify->sides, verify->keys_max,
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
    for (size_t i = 0; i < verify->count; i++)
        verify_table_settle(&verify->tables[i]);
    return true;
}

/* ---- barriers ---- */

static void add_to_span(struct verify *verify, lsn_t lsn) {
    if (verify->first_lsn == 0 || lsn < verify->first_lsn)
        verify->first_lsn = lsn;
    if (lsn > verify->last_lsn)
        verify->last_lsn = verify->target_lsn = lsn;
}

/* Was the current range proven equal before an interruption? Then its rows are those of that time. */
static bool take_proven(struct verify *verify, struct verify_table *compared) {
    const struct verified_table *table = &verify->progress.verified.tables[compared - verify->tables];
    const struct verified_range *range = &table->ranges[compared->range];
    if (verify->progress.kind == NULL || range->state != VERIFIED_EQUAL)
        return false;
    compared->source_rows += range->source_rows;
    compared->target_rows += range->target_rows;
    compared->source_hash = hash_sum_add(compared->source_hash, range->source_hash);
    compared->target_hash = hash_sum_add(compared->target_hash, range->target_hash);
    compared->narrowed_rows += range->narrowed_rows;
    compared->lsn = range->lsn;
    verify->proven_count++;
    add_to_span(verify, range->lsn);
    return true;
}

/* Spares the servers: the pause after a range, outside of a transaction. */
static bool pause_for(struct verify *verify, const struct verify_table *compared, int64_t since_ms,
                      struct error *err) {
    const uint64_t bytes = compared->table->bytes_estimate / compared->range_count;
    bool ready = false;
    if (verify->rate_bytes == 0)
        return true;
    const int64_t pause_ms = (int64_t) (bytes * 1000 / verify->rate_bytes) - (clock_now_ms() - since_ms);
    if (pause_ms <= 0)
        return true;
    return verify_step_unpin(&verify->step, &verify->sides, err) &&
           session_wait(&verify->sides.source, false, pause_ms < INT_MAX ? (int) pause_ms : INT_MAX, &ready,
                        err);
}

static bool compare_in_ranges(struct verify *verify, struct verify_table *compared, bool *ret_pinned,
                              struct error *err) {
    unsigned int tries = 0;
    for (compared->range = 0; compared->range < compared->range_count; compared->range++) {
        const int64_t since_ms = clock_now_ms();
        enum verify_outcome outcome = VERIFY_COMPARED;
        if (verify->progress.kind != NULL && take_proven(verify, compared))
            continue;
        struct verified_range counts = {0};
        do {
            if (!verify_step_compare(&verify->step, &verify->sides, compared, verify->keys_max, &counts,
                                     &outcome, err))
                return false;
        } while (outcome == VERIFY_REWRITTEN && ++tries <= REWRITES_MAX);
        *ret_pinned = outcome != VERIFY_OBSTACLE;
        if (outcome == VERIFY_REWRITTEN)
            compared->result = VERIFY_MOVING;
        if (outcome != VERIFY_COMPARED)
            return true;
        add_to_span(verify, compared->lsn);
        verify->barriers = verify->step.barrier.count + verify->proven_count;
        if (verify->progress.kind != NULL)
            verify_progress_note(&verify->progress, (size_t) (compared - verify->tables), compared, &counts);
        verify_progress_save(&verify->progress, false);
        FAULT_POINT("verify-range-compared");
        if (!pause_for(verify, compared, since_ms, err))
            return false;
    }
    const struct difference_counts *counts = &compared->counts;
    compared->result =
        counts->missing + counts->extra + counts->different > 0 ? VERIFY_DIFFERENT : settled_result(compared);
    return true;
}

static bool run_barriers(struct verify *verify, bool *ret_done, struct error *err) {
    int64_t said_ms = clock_now_ms();
    *ret_done = true;
    for (size_t i = 0; i < verify->count && *ret_done; i++) {
        struct verify_table *compared = &verify->tables[i];
        if (compared->result != VERIFY_UNDECIDED)
            continue;
        if (!compare_in_ranges(verify, compared, ret_done, err))
            return false;
        if (clock_now_ms() - said_ms < SAY_INTERVAL_MS)
            continue;
        said_ms = clock_now_ms();
        log_line(LOG_VERIFY_PROGRESS, "verify: %zu of %s compared", i + 1,
                 amount_count(verify->count, "table").text);
    }
    return verify_step_unpin(&verify->step, &verify->sides, err);
}

/* ---- a comparison that was interrupted ---- */

/* A sink that appends has no ranges: each of its tables is compared as a whole, and from the start. */
static bool open_progress(struct verify *verify, bool resumes, struct arena *arena, struct error *err) {
    struct verify_progress *progress = &verify->progress;
    if (!sink_has_rows(verify->sides.ops)) {
        if (resumes)
            log_sink(LOG_VERIFY_STARTS_OVER, verify->sink->name,
                     "of such a sink nothing is kept, so all is compared");
        return true;
    }
    progress->kind = VERIFIED_BY_COMMAND;
    verify->keeps_progress = true;
    if (!verify_progress_open(progress, verify->tables, verify->count, &verify->sides, resumes, false, arena,
                              err))
        return false;
    if (resumes && progress->kept_count > 0)
        log_sink(LOG_VERIFY_RESUMED, verify->sink->name,
                 "proven equal before the interruption: %zu of %s; the others are compared",
                 progress->kept_count, amount_count(progress->range_count, "range").text);
    else if (resumes)
        log_sink(LOG_VERIFY_STARTS_OVER, verify->sink->name,
                 "nothing is kept of an interrupted verify of the same tables, with the same definitions "
                 "and the same --where, so all is compared");
    if (progress->range_count > verify->count || resumes)
        return true;
    verify->keeps_progress = false; /* small tables are compared again as fast */
    progress->kind = NULL;
    return true;
}

/* Keeps what was proven. */
static bool say_interrupted(struct verify *verify) {
    struct verify_progress *progress = &verify->progress;
    size_t equal = 0;
    if (progress->kind == NULL)
        return false;
    verify_progress_save(progress, true);
    for (size_t i = 0; i < progress->verified.count; i++)
        equal += verified_count(&progress->verified.tables[i], VERIFIED_EQUAL);
    if (equal > 0 && !progress->cannot_write)
        log_sink(LOG_VERIFY_INTERRUPTED, verify->sink->name,
                 "proven equal: %zu of %s; the same command with --resume goes on from there", equal,
                 amount_count(progress->range_count, "range").text);
    return false;
}

static void forget_progress(struct verify *verify) {
    const struct config *config = verify->sides.config;
    struct error err = {0};
    if (!verify->keeps_progress)
        return;
    if (!verified_remove(config->state, config->name, verify->sink->name, VERIFIED_BY_COMMAND, &err))
        log_line(LOG_VERIFY_NOT_STORED, "%s", err.text);
}

/* The barriers wait for no backlog. */
static bool catch_up(struct verify *verify, struct error *err) {
    return verify_sides_pin(&verify->sides, err) && verify_sides_unpin(&verify->sides, err);
}

static void say_obstacle(const struct verify *verify) {
    switch (verify->step.barrier.obstacle) {
    case OBSTACLE_NONE:
        break;
    case OBSTACLE_UNSEEN:
        log_line(
            LOG_VERIFY_UNDECIDED,
            "a transaction was applied that no snapshot of the source sees (does its commit wait for a "
            "synchronous standby?): differences cannot be told from it, so a table with one is undecided");
        break;
    case OBSTACLE_UNKNOWN:
        log_line(LOG_VERIFY_UNDECIDED,
                 "a transaction has been open at the source since before the engine started: its changes "
                 "cannot be told from differences, so a table with one is undecided");
        break;
    case OBSTACLE_ENGINE:
        log_line(LOG_VERIFY_UNDECIDED, "%s; so a table that differs is undecided",
                 verify->step.barrier.refusal);
    }
}

/* What was compared in part begins again. */
static void begin_again(struct verify *verify) {
    for (size_t i = 0; i < verify->count; i++) {
        struct verify_table *compared = &verify->tables[i];
        if (compared->result != VERIFY_UNDECIDED)
            continue;
        compared->source_rows = compared->target_rows = compared->narrowed_rows = 0;
        compared->source_hash = compared->target_hash = 0;
        compared->counts = (struct difference_counts){0};
        compared->faults = (struct comparison_faults){0};
        compared->is_inexact = compared->columns_are_known = false;
        compared->ranges = NULL;
        compared->range_count = 1;
        compared->range = 0;
    }
    verify->is_doubtful = true;
    verify->barriers = 0;
    verify->first_lsn = verify->last_lsn = 0;
    verify->progress.kind = NULL;
}

static bool compare_all(struct verify *verify, const struct config *config,
                        const struct verify_options *options, struct arena *arena, struct error *err) {
    bool is_usable = false, is_done = false;
    if (!leave_out_copying(verify, arena, err) || !catch_up(verify, err) ||
        !verify_barrier_open(&verify->step.barrier, &verify->sides, &is_usable, err) ||
        !verify_ranges_make(&verify->sides.source, verify->tables, verify->count,
                            is_usable ? config->copy.chunk_bytes : 0, arena, err) ||
        (is_usable && !open_progress(verify, options->resumes, arena, err)))
        return false;
    if (is_usable && !run_barriers(verify, &is_done, err))
        return say_interrupted(verify);
    if (is_usable && !is_done) {
        say_obstacle(verify);
        begin_again(verify);
    }
    verify_barrier_close(&verify->step.barrier);
    if ((!is_done && !run_rounds(verify, err)) || !leave_out_copying(verify, arena, err))
        return false;
    forget_progress(verify);
    verify->result = conclude(verify);
    return true;
}

/* What the source says of the engine, in a snapshot that ends at once. */
static bool see_source(struct verify_sides *sides, struct error *err) {
    return verify_sides_pin_source(sides, err) && session_execute(&sides->source, "rollback", err);
}

bool verify_prepare(struct verify *verify, const struct config *config, const struct verify_options *options,
                    struct arena *arena, bool *ret_usable, struct error *err) {
    *verify = (struct verify){.sink = &options->sink->sink, .step = {.barrier = {.client = -1}}};
    return verify_sides_open(&verify->sides, config, options->sink, options->rate_bytes, options->stop,
                             err) &&
           prepare_tables(verify, config, options, arena, err) && see_source(&verify->sides, err) &&
           verify_barrier_open(&verify->step.barrier, &verify->sides, ret_usable, err) &&
           verify_ranges_make(&verify->sides.source, verify->tables, verify->count, config->copy.chunk_bytes,
                              arena, err);
}

bool verify_run(struct verify *verify, const struct config *config, const struct verify_options *options,
                struct arena *arena, struct error *err) {
    *verify = (struct verify){.sink = &options->sink->sink,
                              .keys_max = options->keys_max,
                              .rate_bytes = options->rate_bytes,
                              .step = {.barrier = {.client = -1}}};
    return verify_sides_open(&verify->sides, config, options->sink, options->rate_bytes, options->stop,
                             err) &&
           prepare_tables(verify, config, options, arena, err) &&
           compare_all(verify, config, options, arena, err);
}

void verify_release(struct verify *verify) {
    verify_barrier_close(&verify->step.barrier);
    for (size_t i = 0; i < verify->count; i++)
        verify_table_release(&verify->tables[i]);
    verify_sides_release(&verify->sides);
}
