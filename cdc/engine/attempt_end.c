/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_end.c - the end of an attempt: in order, or from any state; then what it has done is counted.
 */
#include <stdlib.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/engine/attempt.h"

enum { DRAIN_MAX_MS = 6000 /* a stop may take ten seconds in all */ };

static void wait_runners_ended(struct attempt *attempt, int64_t deadline_ms) {
    while (!attempt_runners_ended(attempt) && clock_now_ms() < deadline_ms)
        attempt_wait_event(attempt);
}

/*
 * Stops reading, lets the sinks finish what they have, saves and confirms it. Work that does not finish in
 * time is rolled back.
 */
void attempt_stop(struct attempt *attempt) {
    int64_t deadline_ms = clock_now_ms() + DRAIN_MAX_MS;
    feed_drain(&attempt->feed);
    while (atomic_load(&attempt->feed.state) == FEED_READING && clock_now_ms() < deadline_ms)
        attempt_wait_event(attempt);
    if (atomic_load(&attempt->feed.state) == FEED_READING)
        return;
    for (size_t i = 0; i < attempt->runner_count; i++)
        runner_stop(&attempt->runners[i], false);
    wait_runners_ended(attempt, deadline_ms);
    attempt_save(attempt, true);
    attempt_note_activity(attempt, true);
}

/* From any state. The feed ends first, because it pushes to the runners' queues. */
void attempt_end(struct attempt *attempt) {
    attempt_stop_serving(attempt);
    feed_end(&attempt->feed);
    feed_join(&attempt->feed);
    watch_stop(&attempt->watch);
    for (size_t i = 0; i < attempt->runner_count; i++)
        runner_stop(&attempt->runners[i], true);
    for (size_t i = 0; i < attempt->runner_count; i++)
        runner_join(&attempt->runners[i]);
}

/* After the runners have ended, of an orderly stop or at --until LSN: where a copy in chunks goes on. */
static void say_copies(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct runner *runner = &attempt->runners[i];
        if (atomic_load(&runner->is_copying) && atomic_load(&runner->copy.progress.chunk_count) > 0)
            log_sink(LOG_COPY_INTERRUPTED, runner->sink->config->name,
                     "the copy stops with %llu of %s copied; the next start goes on from there",
                     atomic_load(&runner->copy.progress.chunks_safe),
                     amount_count(atomic_load(&runner->copy.progress.chunk_count), "chunk").text);
    }
}

/* After all threads have ended, of an orderly stop: each batch that the feed handed on was taken. */
static bool close_ledgers(struct attempt *attempt, struct error *err) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct runner *runner = &attempt->runners[i];
        if (runner->is_done && !ledger_check_against(&runner->ledger, &attempt->feed.ledger, err))
            return error_wrap(err, "sink %s", runner->sink->config->name);
    }
    return true;
}

/* The result keeps the counts of the attempt that ended in order. */
static bool keep_ledgers(struct attempt *attempt, struct error *err) {
    struct pipeline_result *result = &attempt->pipeline->result;
    result->ledgers = calloc(attempt->runner_count, sizeof *result->ledgers);
    if (result->ledgers == NULL)
        return error_no_memory(err);
    for (; result->ledger_count < attempt->runner_count; result->ledger_count++) {
        struct runner *runner = &attempt->runners[result->ledger_count];
        result->ledgers[result->ledger_count] = runner->ledger;
        runner->ledger = (struct ledger){0};
    }
    return true;
}

/* After the runners have ended. */
static void count_rows(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct runner *runner = &attempt->runners[i];
        if (position_exists(&runner->position))
            attempt->pipeline->result.rows_copied += atomic_load(&runner->copy.progress.rows);
    }
}

bool attempt_close_books(struct attempt *attempt, bool is_orderly, struct error *err) {
    const bool is_closed = !is_orderly || (close_ledgers(attempt, err) && keep_ledgers(attempt, err));
    if (is_orderly && is_closed)
        say_copies(attempt);
    count_rows(attempt);
    return is_closed;
}
