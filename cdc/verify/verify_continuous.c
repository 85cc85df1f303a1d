/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_continuous.c - the range that was compared longest ago comes next; one that differs comes each
 * minute.
 *
 * A difference is believed when a second pair of snapshots shows it too, and no chunk of the table is still
 * to be copied before and after: the rows of a chunk may be newer than the source's snapshot.
 */
#include "cdc/verify/verify_continuous.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/base/shell_word.h"
#include "cdc/engine/control.h"
#include "cdc/verify/verify.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    STEP_MS = 100,      /* how soon a stop is noticed in a pause */
    IDLE_MS = 10000,    /* there is no engine to ask, or nothing is due */
    RETRY_MS = 60000,   /* after an error; a range that differs is compared again */
    REOPEN_MS = 600000, /* new tables and definitions are read */
    RANGE_BYTES_MIN = 8192,
    SAID_MAX = ERROR_TEXT_MAX - 1,
};

#define ARENA_BYTES_MAX ((size_t) 512 << 20)

/* A barrier holds the source's snapshot until the target has applied this much at most. */
#define LAG_BYTES_MAX (UINT64_C(16) << 20)

/* A comparison of one sink's tables, from one opening of its sessions to the next. */
struct watching {
    struct verify_watcher *watcher;
    struct verify verify;
    struct arena arena;
    uint64_t spent_bytes; /* since the last pause */
    int64_t since_ms;
};

static bool is_stopped(const struct verify_watcher *watcher) {
    return atomic_load_explicit(watcher->stop, memory_order_relaxed);
}

static void pause_for(const struct verify_watcher *watcher, int64_t pause_ms) {
    const int64_t until_ms = clock_now_ms() + pause_ms;
    for (int64_t left_ms = pause_ms; left_ms > 0 && !is_stopped(watcher); left_ms = until_ms - clock_now_ms())
        clock_pause_ms(left_ms < STEP_MS ? (int) left_ms : STEP_MS);
}

/* An obstacle lasts; it is logged when it is another one. */
static void say_once(struct verify_watcher *watcher, enum log_event event, const char *what) {
    if (strncmp(watcher->said, what, SAID_MAX) == 0)
        return;
    snprintf(watcher->said, sizeof watcher->said, "%.*s", SAID_MAX, what);
    if (what[0] != '\0')
        log_sink(event, watcher->sink->sink.name, "continuous verification: %s", what);
}

/* ---- what is next ---- */

static int64_t age_ms(const struct verified_range *range, int64_t now_us) {
    const int64_t last_us = range->at_us > range->tried_us ? range->at_us : range->tried_us;
    return last_us == 0 || last_us > now_us ? INT64_MAX : (now_us - last_us) / 1000;
}

static bool is_due(const struct verified_range *range, int64_t age) {
    return age >= FAULT_INTERVAL_MS(range->state == VERIFIED_DIFFERENT ? RETRY_MS : IDLE_MS);
}

/* False: nothing is due. */
static bool find_next(const struct watching *watching, size_t *ret_table, size_t *ret_range) {
    const struct verified *verified = &watching->verify.progress.verified;
    const int64_t now_us = clock_unix_us();
    int64_t oldest_ms = -1;
    bool differs = false;
    for (size_t i = 0; i < verified->count; i++) {
        for (size_t j = 0; j < verified->tables[i].range_count; j++) {
            const struct verified_range *range = &verified->tables[i].ranges[j];
            const int64_t age = age_ms(range, now_us);
            const bool is_urgent = range->state == VERIFIED_DIFFERENT;
            if (watching->verify.tables[i].result == VERIFY_MISSING || !is_due(range, age) ||
                (differs && !is_urgent) || (differs == is_urgent && age <= oldest_ms))
                continue;
            *ret_table = i;
            *ret_range = j;
            oldest_ms = age;
            differs = is_urgent;
        }
    }
    return oldest_ms >= 0;
}

/* ---- one range ---- */

static void say_obstacle(struct watching *watching) {
    static const char *const OBSTACLES[] = {
        [OBSTACLE_UNSEEN] = "it waits, because a transaction was applied that no snapshot of the source sees",
        [OBSTACLE_UNKNOWN] =
            "it waits for a transaction that has been open at the source since before the engine started",
    };
    const struct verify_barrier *barrier = &watching->verify.step.barrier;
    if (barrier->obstacle == OBSTACLE_ENGINE) /* it stops, or another client has it */
        say_once(watching->watcher, LOG_VERIFY_ENGINE_AWAY, barrier->refusal);
    else
        say_once(watching->watcher, LOG_VERIFY_WAITS, OBSTACLES[barrier->obstacle]);
}

/*
 * Before a barrier: a stalled server is found here, where the engine does not wait for us. *ret_ready is
 * false when no engine streams, or the target has a backlog.
 */
static bool look_at_sides(struct watching *watching, bool *ret_ready, struct error *err) {
    struct verify_sides *sides = &watching->verify.sides;
    if (!verify_sides_ping(sides, err) || !verify_sides_pin_target(sides, err) ||
        !verify_sides_pin_source(sides, err) || !verify_sides_unpin(sides, err))
        return false;
    *ret_ready = sides->is_fed && sides->target_lsn + LAG_BYTES_MAX >= sides->source_lsn;
    return true;
}

/* *ret_compared is false when there is no pair of snapshots now. */
static bool compare_now(struct watching *watching, struct verify_table *compared,
                        struct verified_range *ret_counts, bool *ret_compared, struct error *err) {
    struct verify *verify = &watching->verify;
    enum verify_outcome outcome;
    bool is_ready = true;
    compared->source_rows = compared->target_rows = compared->narrowed_rows = 0;
    compared->counts = (struct difference_counts){0};
    compared->columns_are_known = false;
    *ret_compared = false;
    if (verify->step.pinned_ms == 0 && !look_at_sides(watching, &is_ready, err))
        return false;
    if (!is_ready)
        return true;
    if (!verify_step_compare(&verify->step, &verify->sides, compared, 0, ret_counts, &outcome, err))
        return false;
    *ret_compared = outcome == VERIFY_COMPARED;
    if (outcome == VERIFY_OBSTACLE)
        say_obstacle(watching);
    else if (outcome == VERIFY_COMPARED)
        say_once(watching->watcher, LOG_VERIFY_WAITS, "");
    return true;
}

static bool has_difference(const struct verified_range *counts) {
    return counts->missing + counts->extra + counts->different > 0;
}

/* Is a chunk of the table still to be copied, or has the stream yet to pass what the chunks contain? */
static bool is_copying(const struct watching *watching, const struct verify_table *compared,
                       bool *ret_copying, struct error *err) {
    const struct verify_sides *sides = &watching->verify.sides;
    struct chunk_plan plan = {0};
    struct arena arena;
    *ret_copying = false;
    if (sides->ops->chunk == NULL)
        return true;
    struct sink *handle = sink_new(sides->ops, sides->sink, sides->stop);
    if (handle == NULL)
        return error_no_memory(err);
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    const bool looked = sides->ops->chunk->look(handle, &arena, &plan, err);
    for (size_t i = 0; looked && i < plan.count; i++)
        *ret_copying |= plan.chunks[i].relation_oid == compared->table->oid;
    arena_release(&arena);
    sink_free(handle);
    return looked;
}

/* *ret_copies: the difference may be that of a copy, so *ret_compared is false. */
static bool confirm(struct watching *watching, struct verify_table *compared, struct verified_range *counts,
                    bool *ret_compared, bool *ret_copies, struct error *err) {
    struct verify *verify = &watching->verify;
    bool copies = false, copies_after = false;
    if (!verify_step_unpin(&verify->step, &verify->sides, err) ||
        !is_copying(watching, compared, &copies, err) ||
        (!copies && !compare_now(watching, compared, counts, ret_compared, err)) ||
        !is_copying(watching, compared, &copies_after, err))
        return false;
    *ret_copies = copies || copies_after;
    *ret_compared = *ret_compared && (!*ret_copies || !has_difference(counts));
    return true;
}

static void say_difference(const struct watching *watching, const struct verify_table *compared,
                           const struct verified_range *counts) {
    char name[160];
    snprintf(name, sizeof name, "%s.%s", compared->table->schema, compared->table->name);
    log_about(LOG_TABLE_DIFFERS,
              &(struct log_subject){
                  .sink = watching->watcher->sink->sink.name, .table = name, .lsn = compared->lsn},
              "table %s differs from the source at %s: %" PRIu64 " missing, %" PRIu64 " extra, %" PRIu64
              " different, in range %zu of %zu; `pgcdc verify --repair --table %s` copies what differs again",
              name, lsn_format(compared->lsn).text, counts->missing, counts->extra, counts->different,
              compared->range + 1, compared->range_count, shell_word(name).text);
}

static void note_result(struct watching *watching, struct verify_table *compared,
                        const struct verified_range *counts) {
    struct verify_progress *progress = &watching->verify.progress;
    const size_t table = (size_t) (compared - watching->verify.tables);
    const struct verified_table *verified = &progress->verified.tables[table];
    const struct verified_range before = verified->ranges[compared->range];
    verify_progress_note(progress, table, compared, counts);
    if (has_difference(counts) && (before.state != VERIFIED_DIFFERENT || before.missing != counts->missing ||
                                   before.extra != counts->extra || before.different != counts->different))
        say_difference(watching, compared, counts);
    if (before.state == VERIFIED_DIFFERENT && verified_count(verified, VERIFIED_DIFFERENT) == 0)
        log_about(LOG_TABLE_EQUAL_AGAIN,
                  &(struct log_subject){.sink = watching->watcher->sink->sink.name,
                                        .schema = compared->table->schema,
                                        .table = compared->table->name,
                                        .lsn = compared->lsn},
                  "table %s.%s is equal again where it differed, at %s", compared->table->schema,
                  compared->table->name, lsn_format(compared->lsn).text);
}

/* Their turn comes again after that of the others. */
static void note_try(struct verified_table *table, size_t range, bool is_for_all) {
    for (size_t i = 0; i < table->range_count; i++)
        if (i == range || is_for_all)
            table->ranges[i].tried_us = clock_unix_us();
}

/* *ret_rests: nothing can be compared now. */
static bool compare_next(struct watching *watching, size_t table, size_t range, bool *ret_rests,
                         struct error *err) {
    struct verify *verify = &watching->verify;
    struct verify_table *compared = &verify->tables[table];
    struct verified_range counts = {0};
    bool is_compared = false, copies = false;
    compared->range = range;
    if (!compare_now(watching, compared, &counts, &is_compared, err) ||
        (is_compared && has_difference(&counts) &&
         !confirm(watching, compared, &counts, &is_compared, &copies, err)))
        return false;
    if (is_compared)
        note_result(watching, compared, &counts);
    else
        note_try(&verify->progress.verified.tables[table], range, copies);
    *ret_rests = !is_compared && !copies;
    verify_progress_save(&verify->progress, false);
    const uint64_t bytes = compared->table->bytes_estimate / compared->range_count;
    watching->spent_bytes += bytes > RANGE_BYTES_MIN ? bytes : RANGE_BYTES_MIN;
    return true;
}

/* ---- all ranges ---- */

/* At most rate_bytes a second, in parts of a second. */
static bool spare(struct watching *watching, bool rests, struct error *err) {
    const struct verify_watcher *watcher = watching->watcher;
    const int64_t took_ms = clock_now_ms() - watching->since_ms;
    int64_t pause_ms = (int64_t) (watching->spent_bytes * 1000 / watcher->rate_bytes) - took_ms;
    if (rests && pause_ms < FAULT_INTERVAL_MS(IDLE_MS))
        pause_ms = FAULT_INTERVAL_MS(IDLE_MS);
    if (!rests && watching->spent_bytes < watcher->rate_bytes)
        return true;
    if (!verify_step_unpin(&watching->verify.step, &watching->verify.sides, err))
        return false;
    verify_progress_save(&watching->verify.progress, true);
    pause_for(watcher, pause_ms);
    watching->spent_bytes = 0;
    watching->since_ms = clock_now_ms();
    return true;
}

static bool compare_ranges(struct watching *watching, struct error *err) {
    const int64_t opened_ms = clock_now_ms();
    watching->since_ms = opened_ms;
    while (!is_stopped(watching->watcher) && clock_now_ms() - opened_ms < FAULT_INTERVAL_MS(REOPEN_MS)) {
        size_t table = 0, range = 0;
        bool rests = true;
        if (find_next(watching, &table, &range) && !compare_next(watching, table, range, &rests, err))
            return false;
        if (!spare(watching, rests, err))
            return false;
    }
    return true;
}

static bool watch_tables(struct watching *watching, struct error *err) {
    struct verify_watcher *watcher = watching->watcher;
    struct verify *verify = &watching->verify;
    const struct verify_options options = {.sink = watcher->sink, .stop = watcher->stop};
    bool is_usable = false;
    if (config_reread_tables(watcher->config))
        log_sink(LOG_TABLES_REREAD, watcher->sink->sink.name, "verify: source.tables has changed");
    if (!verify_prepare(verify, watcher->config, &options, &watching->arena, &is_usable, err))
        return false;
    if (!is_usable) {
        if (verify->sides.is_standby)
            say_once(watcher, LOG_VERIFY_UNDECIDED,
                     "a standby as source cannot tell which transactions a snapshot "
                     "sees, so nothing is compared");
        pause_for(watcher, FAULT_INTERVAL_MS(IDLE_MS));
        return true;
    }
    verify->progress.kind = VERIFIED_CONTINUOUSLY;
    if (!verify_progress_open(&verify->progress, verify->tables, verify->count, &verify->sides, true, true,
                              &watching->arena, err))
        return false;
    bool compared = compare_ranges(watching, err);
    verify_progress_save(&verify->progress, true);
    return compared;
}

static bool has_engine(const struct verify_watcher *watcher) {
    const struct config *part = config_part_of(watcher->config, watcher->sink);
    struct error ignored = {0};
    int client = -1;
    if (!control_connect(part->state, part->name, &client, &ignored) || client < 0)
        return false;
    close(client);
    return true;
}

static void *watcher_main(void *argument) {
    struct verify_watcher *watcher = argument;
    while (!is_stopped(watcher)) {
        struct watching watching = {.watcher = watcher};
        struct error err = {0};
        if (!has_engine(watcher)) {
            pause_for(watcher, FAULT_INTERVAL_MS(IDLE_MS));
            continue;
        }
        arena_init(&watching.arena, BLOCK_BYTES, ARENA_BYTES_MAX);
        const bool good = watch_tables(&watching, &err);
        verify_release(&watching.verify);
        arena_release(&watching.arena);
        if (!good && !is_stopped(watcher)) {
            say_once(watcher, LOG_VERIFY_FAILED, error_line(&err).text);
            pause_for(watcher, FAULT_INTERVAL_MS(RETRY_MS));
        }
    }
    return NULL;
}

/* ---- the threads ---- */

static bool start_watcher(struct verify_watcher *watcher, struct error *err) {
    const int failure = pthread_create(&watcher->thread, NULL, watcher_main, watcher);
    return failure == 0
               ? true
               : error_set(err, ERROR_SYSTEM, "a thread for continuous verification: %s", strerror(failure));
}

/* Reads the watcher's own configuration; the file may have changed since the engine read it. */
static bool set_up_watcher(struct verify_watcher *watcher, const struct config *config, const char *sink,
                           struct error *err) {
    if (!config_read_again(config, &watcher->config, err))
        return false;
    for (size_t i = 0; i < watcher->config->sink_count; i++)
        if (strcmp(watcher->config->sinks[i].sink.name, sink) == 0)
            watcher->sink = &watcher->config->sinks[i];
    if (watcher->sink != NULL)
        return true;
    config_free(watcher->config);
    return error_set(err, ERROR_CONFIG, "%s has no sink %s any more", config->path, sink);
}

bool verify_continuous_start(struct verify_continuous *verifying, const struct config *config,
                             struct error *err) {
    const char *sinks[CHECKPOINT_SINKS_MAX];
    size_t count = 0;
    *verifying = (struct verify_continuous){0};
    if (config->verify.continuous_bytes == 0)
        return true;
    for (size_t i = 0; i < config->sink_count; i++)
        if (sink_admin(config->sinks[i].ops, compare) != NULL && sink_has_rows(config->sinks[i].ops))
            sinks[count++] = config->sinks[i].sink.name;
    if (count == 0)
        log_line(LOG_VERIFY_WITHOUT_SINK,
                 "verify.continuous: there is no sink of type postgres, so nothing is compared");
    for (; verifying->count < count; verifying->count++) {
        struct verify_watcher *watcher = &verifying->watchers[verifying->count];
        *watcher = (struct verify_watcher){.rate_bytes = config->verify.continuous_bytes / count,
                                           .stop = &verifying->stop};
        bool started = set_up_watcher(watcher, config, sinks[verifying->count], err);
        if (started && !start_watcher(watcher, err)) {
            config_free(watcher->config);
            started = false;
        }
        if (!started) {
            verify_continuous_end(verifying);
            return false;
        }
    }
    return true;
}

void verify_continuous_end(struct verify_continuous *verifying) {
    atomic_store(&verifying->stop, true);
    for (size_t i = 0; i < verifying->count; i++) {
        pthread_join(verifying->watchers[i].thread, NULL);
        config_free(verifying->watchers[i].config);
    }
    verifying->count = 0;
}
