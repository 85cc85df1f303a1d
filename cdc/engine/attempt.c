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

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/start.h"

enum {
    DRAIN_MAX_MS = 6000,  /* a stop may take ten seconds in all */
    TAKE_WAIT_MS = 10000, /* a run with an end waits this long for a slot that is in use */
};

/* ---- opening ---- */

static bool open_reader(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    reader_reset(attempt->reader);
    if (!attempt->reader->ops->open(attempt->reader, &attempt->facts, err))
        return false;
    memcpy(pipeline->database, attempt->facts.identity.database, sizeof pipeline->database);
    return true;
}

/* Before 18 the server sends no generated columns. */
static bool read_generated(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    const struct reader_catalog *catalog = attempt->reader->catalog;
    if (catalog == NULL || catalog->session->server_version < 180000)
        return true;
    generated_columns_release(&pipeline->generated);
    return generated_columns_read(catalog->session, &pipeline->generated, err);
}

static bool open_sinks(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    for (size_t i = 0; i < pipeline->config->sink_count; i++) {
        pipeline->sinks[i]->facts = (struct sink_facts){.system_id = attempt->facts.identity.system_id,
                                                        .timeline = attempt->facts.identity.timeline,
                                                        .gone = pipeline->gone,
                                                        .gone_count = pipeline->gone_count,
                                                        .generated = pipeline->generated.items,
                                                        .generated_count = pipeline->generated.count};
        pipeline->columns_files[i] = columns_file_of(pipeline->config->state, pipeline->config->name,
                                                     pipeline->sinks[i]->config->name);
        pipeline->sinks[i]->facts.columns = &pipeline->columns_files[i].memory;
        if (!runner_start(&attempt->runners[i], pipeline->sinks[i], &pipeline->metrics[i],
                          pipeline->options->pauses != NULL ? &pipeline->options->pauses[i] : NULL,
                          attempt->event_fd, attempt->feed.wake_fd, pipeline->careful_until_lsn[i], err))
            return false;
        attempt->runner_count++;
    }
    if (!attempt_wait_runners(attempt, RUNNER_OPENED, NULL, err))
        return false;
    for (size_t i = 0; i < attempt->runner_count; i++)
        attempt->positions[i] = runner_position(&attempt->runners[i]);
    return true;
}

/*
 * Opening a sink raises its epoch, which ends another engine that is running. So we first ask whether an
 * engine reads the slot. The slot of a killed engine is free within moments. A standby engine waits without a
 * limit.
 */
static bool check_nobody_streams(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    const struct pipeline_options *options = pipeline->options;
    const bool has_end = options->until_caught_up || options->until_lsn != 0;
    const struct slot_facts *slot = &attempt->facts.slot;
    if (options->take_over && !attempt->reader->has_streamed)
        return true;
    if (!attempt->facts.has_slot || slot->active_pid == 0) {
        pipeline->waiting_since_ms = 0;
        return true;
    }
    if (pipeline->waiting_since_ms == 0)
        pipeline->waiting_since_ms = clock_now_ms();
    const bool gives_up = has_end && clock_now_ms() - pipeline->waiting_since_ms > TAKE_WAIT_MS;
    error_set(err, gives_up ? ERROR_RUNNING : ERROR_RETRY,
              "source: slot %s is in use by the server's pid %d: another engine runs this pipeline",
              attempt->reader->name, slot->active_pid);
    return error_remedy(err, "stop that engine, or take the pipeline from it with `pgcdc run --take-over`");
}

/* ---- deciding ---- */

static bool check_forks(struct attempt *attempt, struct error *err) {
    struct reader *reader = attempt->reader;
    const struct source_identity *identity = &attempt->facts.identity;
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct position *position = &attempt->positions[i];
        lsn_t fork_lsn = 0;
        if (reader->ops->fork_lsn == NULL || !start_can_fork(position, identity))
            continue;
        struct position reached = *position;
        if (attempt->runners[i].copy_lsn > reached.end_lsn)
            reached.end_lsn = attempt->runners[i].copy_lsn;
        if (!reader->ops->fork_lsn(reader, position->timeline, &fork_lsn, err) ||
            !start_check_fork(&reached, attempt->runners[i].sink->config->name, fork_lsn, identity, err))
            return false;
        position->timeline = identity->timeline;
    }
    return true;
}

static bool resume(struct attempt *attempt, struct error *err) {
    struct reader *reader = attempt->reader;
    if (!attempt_add_newcomers(attempt, err) || !attempt_add_published(attempt, err))
        return false;
    return reader->ops->resume == NULL || reader->ops->resume(reader, attempt_has_copy(attempt), err);
}

/* A later attempt of the same run goes on from the positions that the first one has stored. */
static bool check_from(const struct attempt *attempt, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    if (pipeline->options->from_lsn == 0 || attempt->reader->has_streamed)
        return true;
    error_set(err, ERROR_CONFIG, "--from is for sinks without a position, and sink %s is at %s",
              pipeline->config->sinks[0].sink.name, lsn_format(attempt->positions[0].end_lsn).text);
    return error_remedy(err, "leave it out, and the run goes on from there");
}

/* A copy begins with a slot, whose snapshot must not wait: so a pause holds before it. */
static bool await_resume(struct attempt *attempt, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    bool is_told = false;
    for (size_t i = 0; pipeline->options->pauses != NULL && i < attempt->runner_count; i++) {
        while (pause_is_wanted(&pipeline->options->pauses[i])) {
            if (attempt_is_stopped(attempt))
                return error_set(err, ERROR_STOPPED, "stopped");
            if (!is_told)
                log_line(LOG_COPY_PAUSED, "paused: the copy begins after `pgcdc resume`");
            is_told = true;
            attempt_wait_event(attempt);
        }
    }
    return true;
}

static bool act(struct attempt *attempt, enum start_action action, struct error *err) {
    switch (action) {
    case START_STREAM:
        return check_from(attempt, err) && attempt_check_rows(attempt, err) && resume(attempt, err) &&
               check_forks(attempt, err);
    case START_NEW:
    case START_COPY_AGAIN:
        return await_resume(attempt, err) && attempt_create(attempt, action == START_COPY_AGAIN, err) &&
               attempt_check_rows(attempt, err);
    case START_ADOPT:
        return attempt_adopt(attempt, attempt->facts.slot.confirmed_lsn, err);
    }
    return false;
}

static bool attempt_decide(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    /* Read again: before the sinks were opened, another engine may have advanced them and the slot. */
    if (!attempt->reader->ops->look(attempt->reader, &attempt->facts, err))
        return false;
    start_complete(pipeline->config, &pipeline->checkpoint, attempt->positions);
    const struct start_facts facts = {.config = pipeline->config,
                                      .checkpoint = &pipeline->checkpoint,
                                      .identity = &attempt->facts.identity,
                                      .slot = attempt->facts.has_slot ? &attempt->facts.slot : NULL,
                                      .first_lsn = attempt->facts.first_lsn,
                                      .positions = attempt->positions};
    enum start_action action;
    if (!start_decide(&facts, &action, err))
        return false;
    attempt_debug_decision(attempt, action);
    return act(attempt, action, err);
}

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

/* ---- stopping ---- */

static void wait_runners_ended(struct attempt *attempt, int64_t deadline_ms) {
    while (!attempt_runners_ended(attempt) && clock_now_ms() < deadline_ms)
        attempt_wait_event(attempt);
}

/*
 * Stops reading, lets the sinks finish what they have, saves and confirms it. Work that does not finish in
 * time is rolled back.
 */
static void stop_in_peace(struct attempt *attempt) {
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
static void end_everything(struct attempt *attempt) {
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
    if (!open_reader(attempt, err) || !check_end_is_known(attempt, err))
        return false;
    set_end(attempt);
    if (!check_nobody_streams(attempt, err) || !read_generated(attempt, err) || !open_sinks(attempt, err) ||
        !attempt_decide(attempt, err) || !start_streaming(attempt, err) || !supervise(attempt, err))
        return false;
    stop_in_peace(attempt);
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
    end_everything(attempt);
    if (attempt->shows_copy)
        progress_end(&attempt->progress);
    if (good)
        good = close_ledgers(attempt, err) && keep_ledgers(attempt, err);
    if (good)
        say_copies(attempt);
    count_rows(attempt);
    if (!good) {
        attempt_learn(attempt, err);
    }
    if (!good && err->kind != ERROR_RETRY && err->kind != ERROR_STOPPED)
        attempt_abandon_new(attempt);
    attempt_release(attempt);
    free(attempt);
    return good;
}
