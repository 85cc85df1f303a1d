/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed_test.c - a reader of another kind, without a server: it plays a recorded stream, and a sink gets what
 * was recorded. First behind the feed alone, then in a whole pipeline.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc/engine/feed.h"
#include "cdc/engine/pipeline.h"
#include "decoder/decoder.h"
#include "tests/support/change_text.h"
#include "tests/support/recording.h"

#define TEXT_BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define DEADLINE_MS 60000
#define FIRST_LSN ((lsn_t) 1)

/* ---- the reader ---- */

struct recorded_reader {
    struct reader reader;
    struct recording recording;
    struct decoder *decoder;
    size_t per_read; /* so many messages a call, so that batches end anywhere; 0: all */
    lsn_t last_end_lsn;
    atomic_ullong durable_lsn; /* what the feed said last */
    bool finished;
};

static bool recorded_look(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    (void) reader;
    (void) err;
    *ret_facts = (struct reader_facts){.identity = {.system_id = 1, .timeline = 1, .flush_lsn = UINT64_MAX},
                                       .first_lsn = FIRST_LSN};
    return true;
}

/* The file's path is where a dsn would be. */
static bool recorded_open(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    struct recorded_reader *recorded = (struct recorded_reader *) reader;
    reader->name = "one";
    if (!recording_open(&recorded->recording, reader->config->source.dsn))
        return error_set(err, ERROR_SYSTEM, "%s cannot be read", reader->config->source.dsn);
    return recorded_look(reader, ret_facts, err);
}

static bool recorded_start(struct reader *reader, const struct reader_plan *plan, struct error *err) {
    struct recorded_reader *recorded = (struct recorded_reader *) reader;
    cr_assert_geq(plan->from_lsn, FIRST_LSN);
    recorded->decoder = decoder_new();
    return recorded->decoder != NULL ? true : error_no_memory(err);
}

static void end(struct recorded_reader *recorded) {
    recorded->reader.caught_up_lsn = recorded->last_end_lsn;
    recorded->reader.is_urgent = true;
    atomic_store(&recorded->reader.end_lsn, recorded->last_end_lsn);
}

static bool recorded_read(struct reader *reader, struct batch *batch, bool *ret_drained, struct error *err) {
    struct recorded_reader *recorded = (struct recorded_reader *) reader;
    struct slice message;
    lsn_t lsn;
    *ret_drained = true;
    for (size_t i = 0; (recorded->per_read == 0 || i < recorded->per_read) && !batch_is_full(batch); i++) {
        struct change *change = NULL;
        if (!recording_next(&recorded->recording.cursor, &lsn, &message)) {
            end(recorded);
            break;
        }
        if (!decoder_decode(recorded->decoder, lsn, message, &batch->arena, &change, err))
            return false;
        if (change == NULL)
            continue;
        if (change->kind == CHANGE_COMMIT)
            recorded->last_end_lsn = change->end_lsn;
        batch_append(batch, change);
    }
    reader->in_transaction = decoder_in_transaction(recorded->decoder);
    return true;
}

static bool recorded_tend(struct reader *reader, const struct reader_tending *tending,
                          struct reader_wait *ret_wait, struct error *err) {
    (void) err;
    struct recorded_reader *recorded = (struct recorded_reader *) reader;
    atomic_store(&recorded->durable_lsn, tending->durable_lsn);
    *ret_wait = (struct reader_wait){.fd = -1, .timeout_ms = 1};
    return true;
}

static bool recorded_finish(struct reader *reader, lsn_t durable_lsn, struct error *err) {
    (void) err;
    struct recorded_reader *recorded = (struct recorded_reader *) reader;
    atomic_store(&recorded->durable_lsn, durable_lsn);
    recorded->finished = true;
    return true;
}

static void recorded_close(struct reader *reader) {
    struct recorded_reader *recorded = (struct recorded_reader *) reader;
    decoder_free(recorded->decoder);
    recorded->decoder = NULL;
    recording_close(&recorded->recording);
}

static const struct reader_ops RECORDED = {
    .name = "recording",
    .size = sizeof(struct recorded_reader),
    .open = recorded_open,
    .look = recorded_look,
    .start = recorded_start,
    .read = recorded_read,
    .tend = recorded_tend,
    .finish = recorded_finish,
    .close = recorded_close,
};

/* ---- the sink: text ---- */

struct text_sink {
    struct sink sink;
    struct buffer text;
    const struct relation *described;
};

static bool text_open(struct sink *sink, struct position *ret_position, struct error *err) {
    (void) sink;
    (void) err;
    *ret_position = (struct position){0};
    return true;
}

static bool text_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct text_sink *text = (struct text_sink *) sink;
    for (size_t i = 0; i < span->count; i++)
        change_text_append(&text->text, &span->changes[i], NULL, &text->described);
    return buffer_ok(&text->text) ? true : error_no_memory(err);
}

static bool text_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                        struct position *ret_durable, struct error *err) {
    (void) sink;
    (void) wait;
    (void) err;
    *ret_durable = *position;
    return true;
}

static void text_close(struct sink *sink) {
    (void) sink;
}

static const struct sink_ops TEXT_SINK = {
    .type = "text",
    .size = sizeof(struct text_sink),
    .open = text_open,
    .write = text_write,
    .commit = text_commit,
    .close = text_close,
};

/* What the last sink had when it was closed: a pipeline makes and frees its sinks itself. */
static struct buffer kept = {.bytes_max = TEXT_BYTES_MAX};

static bool kept_open(struct sink *sink, struct position *ret_position, struct error *err) {
    ((struct text_sink *) sink)->text.bytes_max = TEXT_BYTES_MAX;
    return text_open(sink, ret_position, err);
}

static void kept_close(struct sink *sink) {
    buffer_release(&kept);
    kept = ((struct text_sink *) sink)->text;
}

static const struct sink_ops KEPT_SINK = {
    .type = "kept",
    .size = sizeof(struct text_sink),
    .open = kept_open,
    .write = text_write,
    .commit = text_commit,
    .close = kept_close,
};

/* ---- what was recorded, without a feed ---- */

static lsn_t expect(const char *path, struct buffer *text) {
    AUTO(recording_close) struct recording recording = {0};
    const struct relation *described = NULL;
    struct decoder *decoder = decoder_new();
    struct arena arena;
    struct error err = {0};
    struct slice message;
    lsn_t lsn;
    lsn_t end_lsn = 0;
    arena_init(&arena, 64 * 1024, TEXT_BYTES_MAX);
    cr_assert(recording_open(&recording, path));
    while (recording_next(&recording.cursor, &lsn, &message)) {
        struct change *change = NULL;
        if (!decoder_decode(decoder, lsn, message, &arena, &change, &err)) {
            end_lsn = 0; /* it holds what a reader refuses */
            break;
        }
        if (change != NULL && change->kind == CHANGE_COMMIT)
            end_lsn = change->end_lsn;
        if (change != NULL)
            change_text_append(text, change, NULL, &described);
    }
    arena_release(&arena);
    decoder_free(decoder);
    return end_lsn;
}

/* ---- a pipeline of these ---- */

static void wait_event(int event_fd) {
    struct pollfd fd = {.fd = event_fd, .events = POLLIN};
    eventfd_t count;
    cr_assert_eq(poll(&fd, 1, DEADLINE_MS), 1);
    eventfd_read(event_fd, &count);
}

static void play(const char *path, size_t per_read, lsn_t end_lsn, struct text_sink *sink) {
    const struct config config = {.source = {.dsn = path}};
    struct recorded_reader recorded = {.reader = {.ops = &RECORDED, .config = &config}, .per_read = per_read};
    struct reader_facts facts;
    struct runner runner;
    struct sink_metrics metrics = {0};
    struct feed feed;
    struct error err = {0};
    cr_assert(recorded.reader.ops->open(&recorded.reader, &facts, &err), "%s", err.text);
    const struct reader_plan plan = {.from_lsn = facts.first_lsn, .until_lsn = end_lsn};
    const struct position start = {.end_lsn = facts.first_lsn,
                                   .system_id = facts.identity.system_id,
                                   .timeline = facts.identity.timeline};
    const struct feed_options options = {
        .runners = &runner, .runner_count = 1, .start_lsn = plan.from_lsn, .until_lsn = end_lsn};
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert(feed_init(&feed, event_fd, &err), "%s", err.text);
    cr_assert(runner_start(&runner, &sink->sink, &metrics, NULL, event_fd, feed.wake_fd, 0, &err), "%s",
              err.text);
    while (runner_state(&runner) != RUNNER_OPENED)
        wait_event(event_fd);
    runner_order_run(&runner, &(const struct runner_run){.position = start});
    cr_assert(recorded.reader.ops->start(&recorded.reader, &plan, &err), "%s", err.text);
    cr_assert(feed_start(&feed, &recorded.reader, &options, &err), "%s", err.text);
    while (runner_position(&runner).end_lsn < end_lsn) {
        cr_assert_neq(atomic_load(&feed.state), FEED_FAILED, "%s", feed.error.text);
        wait_event(event_fd);
    }
    feed_confirm(&feed, end_lsn);
    feed_end(&feed);
    feed_join(&feed);
    cr_assert_eq(atomic_load(&feed.state), FEED_ENDED);
    cr_assert(recorded.finished);
    cr_assert_eq(atomic_load(&recorded.durable_lsn), end_lsn);
    runner_stop(&runner, false);
    runner_join(&runner);
    feed_release(&feed);
    recorded.reader.ops->close(&recorded.reader);
    close(event_fd);
}

Test(feed, a_reader_that_plays_a_recording_needs_nothing_else_to_change) {
    static const struct sink_config CONFIG = {.pipeline = "p", .name = "s"};
    static const size_t PER_READ[] = {1, 7, 0};
    AUTO(globfree) glob_t recordings = {0};
    size_t played = 0;
    cr_assert_eq(glob(PGCDC_GOLDEN "/*.bin", 0, NULL, &recordings), 0);
    for (size_t i = 0; i < recordings.gl_pathc; i++) {
        AUTO(buffer_release) struct buffer expected = {.bytes_max = TEXT_BYTES_MAX};
        const lsn_t end_lsn = expect(recordings.gl_pathv[i], &expected);
        for (size_t j = 0; end_lsn != 0 && j < sizeof PER_READ / sizeof *PER_READ; j++) {
            struct text_sink sink = {.sink = {.ops = &TEXT_SINK, .config = &CONFIG},
                                     .text = {.bytes_max = TEXT_BYTES_MAX}};
            play(recordings.gl_pathv[i], PER_READ[j], end_lsn, &sink);
            cr_assert_str_eq(buffer_text(&sink.text), buffer_text(&expected), "%s", recordings.gl_pathv[i]);
            buffer_release(&sink.text);
            played++;
        }
    }
    cr_assert_gt(played, 30);
}

/* ---- a pipeline that knows its reader only by the contract ---- */

/* Returns the position that is durable at the end. */
static lsn_t run_until(const struct config *config, lsn_t end_lsn) {
    static const atomic_bool STOP;
    const struct pipeline_options options = {
        .until_lsn = end_lsn, .stop = &STOP, .reader_ops = &RECORDED, .retry_for_ms = 1};
    struct pipeline_result result;
    struct error err = {0};
    cr_assert(pipeline_run(config, &options, &result, &err), "%s", err.text);
    pipeline_result_release(&result);
    cr_assert(result.reached);
    return result.position_lsn;
}

static void remove_state(char (*directory)[64]) {
    static const char *const SUFFIXES[] = {"lock", "checkpoint", "checkpoint.previous", "activity"};
    char path[128];
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        snprintf(path, sizeof path, "%s/p.%s", *directory, SUFFIXES[i]);
        unlink(path);
    }
    cr_assert_eq(rmdir(*directory), 0);
}

Test(feed, a_pipeline_runs_with_a_reader_that_has_no_server) {
    AUTO(remove_state) char directory[64] = "/tmp/pgcdc_feed_XXXXXX";
    AUTO(buffer_release) struct buffer expected = {.bytes_max = TEXT_BYTES_MAX};
    cr_assert_not_null(mkdtemp(directory));
    const struct config_sink sink = {.ops = &KEPT_SINK, .sink = {.pipeline = "p", .name = "s"}};
    const struct config config = {.path = "p.yaml",
                                  .name = "p",
                                  .state = directory,
                                  .source = {.dsn = PGCDC_GOLDEN "/rows.binary.bin"},
                                  .sinks = &sink,
                                  .sink_count = 1};
    const lsn_t end_lsn = expect(config.source.dsn, &expected);
    cr_assert_eq(run_until(&config, end_lsn), end_lsn);
    cr_assert_str_eq(buffer_text(&kept), buffer_text(&expected));
    buffer_reset(&kept);
    cr_assert_eq(run_until(&config, end_lsn), end_lsn, "the second run continues where the first one ended");
    cr_assert_eq(kept.size, 0);
    buffer_release(&kept);
}
