/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.c - one life of a pipeline.
 */
#include "cdc/engine/attempt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/start.h"

/* ---- starting ---- */

/* Values and texts are in a form that every sink accepts. */
static struct reader_plan plan_of(const struct attempt *attempt) {
    const struct pipeline *pipeline = attempt->pipeline;
    struct reader_plan plan = {.from_lsn = start_lsn(attempt->positions, attempt->runner_count),
                               .until_lsn = pipeline->until_lsn,
                               .until_whole = true,
                               .accepts_binary = !pipeline->needs_text,
                               .accepts_bytes = true};
    for (size_t i = 0; i < attempt->runner_count; i++) {
        const struct sink_ops *ops = pipeline->sinks[i]->ops;
        plan.lacks_rows = plan.lacks_rows || position_lacks_rows(&attempt->positions[i]);
        plan.accepts_binary = plan.accepts_binary && !ops->takes_text_only;
        plan.accepts_bytes = plan.accepts_bytes && ops->takes_bytes;
    }
    return plan;
}

/* A skip is forgotten when the sink is past its transaction. */
static bool find_skip(struct attempt *attempt, size_t i, struct skip *ret_skip, struct error *err) {
    const struct config *config = attempt->pipeline->config;
    const char *sink = config->sinks[i].sink.name;
    skip_read(config->state, config->name, sink, ret_skip);
    if (ret_skip->commit_lsn == 0 || skip_is_ahead(ret_skip, &attempt->positions[i]))
        return true;
    *ret_skip = (struct skip){0};
    return skip_remove(config->state, config->name, sink, err);
}

/*
 * A chunk contains changes beyond the end of the source's WAL at this start. So a run that ends when it has
 * caught up ends when the copy is complete instead.
 */
static bool move_end(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    if (!attempt_has_copy(attempt) || pipeline->until_lsn == 0)
        return true;
    if (!pipeline->options->until_caught_up) {
        error_set(
            err, ERROR_CONFIG,
            "the copy is not complete, and its chunks contain changes after %s, so the run cannot end there",
            lsn_format(pipeline->until_lsn).text);
        return error_remedy(err, "run first with `--until caught-up`, or without --until");
    }
    attempt->ends_after_copy = true;
    pipeline->until_lsn = 0;
    return true;
}

/* See struct runner_run. The xids of a standby's snapshots say nothing about its transactions. */
static bool read_next_xid(struct attempt *attempt, uint64_t *ret_next_xid, struct error *err) {
    const struct reader_catalog *catalog = attempt->reader->catalog;
    PGresult *result AUTO_PGRESULT = NULL;
    *ret_next_xid = 0;
    if (catalog == NULL)
        return true;
    if (!session_query(catalog->session,
                       "select case when pg_catalog.pg_is_in_recovery() then '0' else"
                       " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text end",
                       0, NULL, &(const struct result_shape){"the query for its next xid", 1, 1, 1, 0},
                       &result, err))
        return false;
    *ret_next_xid = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

/* At the beginning of an archive the copied rows come first. */
static lsn_t first_lsn_of(const struct attempt *attempt, size_t i) {
    const lsn_t end_lsn = attempt->positions[i].end_lsn;
    return attempt->store_positions && end_lsn != POSITION_BEGINNING ? end_lsn : 0;
}

static bool order_runners(struct attempt *attempt, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    uint64_t next_xid = 0;
    if (!attempt_read_tables(attempt, err) || !read_next_xid(attempt, &next_xid, err))
        return false;
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct runner_run run = {.position = attempt->positions[i],
                                 .config = pipeline->config,
                                 .text_only = pipeline->needs_text,
                                 .store = attempt->store_positions,
                                 .next_xid = next_xid};
        if (!find_skip(attempt, i, &run.skip, err))
            return false;
        pipeline->sinks[i]->facts.first_lsn = first_lsn_of(attempt, i);
        runner_order_run(&attempt->runners[i], &run);
    }
    return true;
}

static bool start_watch(struct attempt *attempt, struct error *err) {
    const struct reader_catalog *catalog = attempt->reader->catalog;
    if (catalog == NULL)
        return true;
    attempt->watch = (struct watch){.config = attempt->pipeline->config,
                                    .runners = attempt->runners,
                                    .runner_count = attempt->runner_count,
                                    .looked_at = catalog->looked_at,
                                    .looks_published = attempt_watches_published(attempt->pipeline->config) &&
                                                       !attempt->facts.identity.is_standby,
                                    .sent = catalog->sent,
                                    .warned = catalog->warned,
                                    .event_fd = attempt->event_fd,
                                    .lock = PTHREAD_MUTEX_INITIALIZER};
    if (!wal_sample_read(catalog->session, &attempt->watch.sample, err))
        return false;
    if (!watch_start(&attempt->watch, err))
        return false;
    attempt->reader->definition_fd = attempt->watch.wake_fd;
    return true;
}

static bool start_streaming(struct attempt *attempt, struct error *err) {
    struct reader *reader = attempt->reader;
    if (!move_end(attempt, err))
        return false;
    const struct reader_plan plan = plan_of(attempt);
    if ((reader->ops->plan != NULL && !reader->ops->plan(reader, &plan, err)) || !order_runners(attempt, err))
        return false;
    FAULT_POINT("stream-before-start");
    if (!start_watch(attempt, err))
        return false;
    const struct feed_options feed = {.runners = attempt->runners,
                                      .runner_count = attempt->runner_count,
                                      .start_lsn = plan.from_lsn,
                                      .until_lsn = plan.until_lsn,
                                      .upstream_wanted_lsn = attempt->pipeline->options->wanted_lsn};
    if (!reader->ops->start(reader, &plan, err) || !feed_start(&attempt->feed, reader, &feed, err))
        return false;
    log_about(LOG_STREAMING_STARTED, &(struct log_subject){.lsn = plan.from_lsn},
              "streaming %s %s from %s, values in %s, buffer limit %d MiB (%d batches)", reader->ops->name,
              reader->name, lsn_format(plan.from_lsn).text, reader->is_binary ? "binary" : "text",
              POOL_BATCHES * BATCH_BYTES / 1024 / 1024, POOL_BATCHES);
    reader->has_streamed = true;
    return true;
}

/* ---- supervising ---- */

/* rows: of chunks at this place, so many; 0: none. */
static bool sinks_have(struct attempt *attempt, lsn_t lsn, uint64_t rows) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        const struct position position = runner_position(&attempt->runners[i]);
        if (position.end_lsn < lsn ||
            (rows > 0 && position.index < rows && !position_has_place(&position, lsn)))
            return false;
    }
    return true;
}

/* By the sinks' positions; the stop that follows saves and confirms them. */
static bool reached_end(struct attempt *attempt) {
    const lsn_t until_lsn = attempt->pipeline->until_lsn;
    const lsn_t end_lsn = atomic_load(&attempt->reader->end_lsn);
    if (attempt->pipeline->options->until_begun)
        return sinks_have(attempt, 1, 0);
    if (attempt->ends_after_copy)
        return !attempt_has_copy(attempt);
    if (until_lsn == 0)
        return false;
    /* Where chunks are among the changes, more of them may follow at the same LSN. */
    if (attempt->reader->ops->is_whole == NULL && sinks_have(attempt, until_lsn, 0))
        return true;
    return end_lsn != 0 && sinks_have(attempt, end_lsn, atomic_load(&attempt->reader->end_index));
}

/*
 * Tables were added to a run that ends when it has caught up, and the stream was read only up to that end:
 * the next attempt reads on until they are copied.
 */
static bool ends_too_early(struct attempt *attempt) {
    return attempt->pipeline->options->until_caught_up && attempt_has_copy(attempt);
}

/*
 * A table that was created while the stream ran may have a type without a binary form, perhaps inside a
 * domain or an array.
 */
static void learn_to_want_text(struct attempt *attempt, struct error *err) {
    static const char NO_SUCH_FUNCTION[] = "42883";
    if (!attempt->reader->is_binary || strcmp(err->sqlstate, NO_SUCH_FUNCTION) != 0)
        return;
    err->kind = ERROR_NEEDS_TEXT;
    error_wrap(err, "continuing with values in text");
}

/* Also on an idle source: the sinks hold everything up to the position that the server named last. */
static void forget_failure(struct attempt *attempt) {
    const lsn_t received_lsn = atomic_load_explicit(&attempt->reader->received_lsn, memory_order_relaxed);
    if (attempt->pipeline->failure.exists && received_lsn != 0 && sinks_have(attempt, received_lsn, 0))
        attempt_forget_failure(attempt);
}

static void show_live_copy(struct attempt *attempt) {
    const bool is_copying = attempt_is_copying(attempt);
    if (is_copying && !attempt->shows_copy)
        progress_init(&attempt->progress);
    if (is_copying)
        attempt_show_copy(attempt);
    else if (attempt->shows_copy)
        progress_end(&attempt->progress);
    attempt->shows_copy = is_copying;
}

/* The watch found tables whose rows a sink lacks: the next attempt copies them. */
static void learn_newcomers(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    if (!attempt->watch.found_newcomers || pipeline->config->copy.new_tables != NEW_TABLES_COPY)
        return;
    pipeline->knows_newcomers = pipeline->knows_published = false;
    err->kind = ERROR_RETRY;
}

static bool has_failed(struct attempt *attempt, struct error *err) {
    if (attempt_runner_failed(attempt, err))
        return true;
    if (atomic_load(&attempt->feed.state) == FEED_FAILED) {
        *err = attempt->feed.error;
        learn_to_want_text(attempt, err);
        return true;
    }
    if (atomic_load(&attempt->watch.state) == WATCH_FAILED) {
        *err = attempt->watch.error;
        learn_newcomers(attempt, err);
        return true;
    }
    return false;
}

static bool end_run(struct attempt *attempt, struct error *err) {
    if (ends_too_early(attempt))
        return error_set(err, ERROR_RETRY, "tables were added, and this run ends once they are copied");
    FAULT_POINT("attempt-end-reached");
    attempt_keep_published(attempt);
    attempt->pipeline->result.reached = true;
    attempt_forget_failure(attempt);
    return true;
}

static bool supervise(struct attempt *attempt, struct error *err) {
    while (!attempt_is_stopped(attempt) && !pipeline_is_renewed(attempt->pipeline)) {
        show_live_copy(attempt);
        attempt_show_live(attempt, LIVE_STREAMING);
        attempt_serve(attempt);
        attempt_keep_published(attempt);
        attempt_save(attempt, false);
        attempt_note_activity(attempt, false);
        attempt_report(attempt);
        log_tick();
        conflict_log_say(&attempt->pipeline->conflict_log, attempt->pipeline->sinks, attempt->runner_count,
                         false);
        forget_failure(attempt);
        if (reached_end(attempt) && !attempt->is_reloading)
            return end_run(attempt, err);
        if (has_failed(attempt, err))
            return false;
        attempt_wait_event(attempt);
    }
    return true;
}

/* ---- an attempt ---- */

static bool attempt_allocate(struct attempt *attempt, struct error *err) {
    size_t count = attempt->pipeline->config->sink_count;
    attempt->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (attempt->event_fd < 0)
        return error_errno(err, "eventfd");
    attempt->runners = calloc(count, sizeof *attempt->runners);
    attempt->positions = calloc(count, sizeof *attempt->positions);
    if (attempt->runners == NULL || attempt->positions == NULL)
        return error_no_memory(err);
    return feed_init(&attempt->feed, attempt->event_fd, err);
}

static void attempt_release(struct attempt *attempt) {
    if (attempt->feed.wake_fd >= 0)
        feed_release(&attempt->feed);
    attempt->reader->ops->close(attempt->reader);
    for (size_t i = 0; attempt->runners != NULL && i < attempt->runner_count; i++)
        ledger_release(&attempt->runners[i].ledger);
    published_release(&attempt->published);
    copy_watch_end(&attempt->copy_watch);
    free(attempt->runners);
    free(attempt->positions);
    if (attempt->event_fd >= 0)
        close(attempt->event_fd);
}

/* With a buffer, the part that reads the slot does not know it. */
void attempt_want(const struct attempt *attempt, lsn_t lsn) {
    atomic_ullong *wanted_lsn = attempt->pipeline->options->wanted_lsn;
    if (wanted_lsn == NULL)
        return;
    unsigned long long before_lsn = atomic_load(wanted_lsn);
    while (before_lsn < lsn && !atomic_compare_exchange_weak(wanted_lsn, &before_lsn, lsn))
        continue;
}

/* With a buffer, the archive is read also while the source is away, but does not say where that one ends. */
static bool check_end_is_known(const struct attempt *attempt, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    const struct source_config *source = &pipeline->config->source;
    return !pipeline->options->until_caught_up || pipeline->until_lsn != 0 || source->archive == NULL ||
           source->dsn == NULL || attempt->reader->catalog != NULL ||
           error_set(err, ERROR_RETRY, "source: it cannot be reached, so the end of its WAL is not known");
}

static void set_end(struct attempt *attempt) {
    struct pipeline *pipeline = attempt->pipeline;
    if (pipeline->until_lsn == 0)
        pipeline->until_lsn = pipeline->options->until_caught_up ? attempt->facts.identity.flush_lsn
                                                                 : pipeline->options->until_lsn;
    if (pipeline->until_lsn > attempt->facts.identity.flush_lsn)
        log_line(LOG_END_IS_AHEAD,
                 "the source's WAL ends at %s, %" PRIu64 " bytes before %s: this run waits for it",
                 lsn_format(attempt->facts.identity.flush_lsn).text,
                 pipeline->until_lsn - attempt->facts.identity.flush_lsn,
                 lsn_format(pipeline->until_lsn).text);
    attempt_want(attempt, pipeline->until_lsn);
}

static bool live(struct attempt *attempt, struct error *err) {
    if (!attempt_open_reader(attempt, err) || !check_end_is_known(attempt, err))
        return false;
    set_end(attempt);
    if (!attempt_open_sinks(attempt, err) || !attempt_decide(attempt, err) ||
        !start_streaming(attempt, err) || !supervise(attempt, err))
        return false;
    attempt_stop(attempt);
    return !attempt_runner_failed(attempt, err);
}

bool attempt_run(struct pipeline *pipeline, struct error *err) {
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (attempt == NULL)
        return error_no_memory(err);
    attempt->pipeline = pipeline;
    attempt->reader = pipeline->reader;
    attempt->event_fd = -1;
    attempt->feed.wake_fd = -1; /* until feed_init */
    bool good = attempt_allocate(attempt, err) && live(attempt, err);
    attempt_end(attempt);
    if (attempt->shows_copy)
        progress_end(&attempt->progress);
    good = attempt_close_books(attempt, good, err) && good;
    if (!good)
        attempt_learn(attempt, err);
    if (!good && err->kind != ERROR_RETRY && err->kind != ERROR_STOPPED)
        attempt_abandon_new(attempt);
    attempt_release(attempt);
    free(attempt);
    return good;
}
