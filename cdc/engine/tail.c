/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.c - reads a temporary slot and prints a line per change, in one thread.
 *
 * The output never blocks us: it is written in pieces that a ready pipe accepts at once, so that a paused
 * pager does not cost the connection.
 */
#include "cdc/engine/tail.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/print/change_json.h"
#include "cdc/readers/slot/slot_reader.h"
#include "cdc/source/publication.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"

enum {
    OUTPUT_PENDING_MAX = 64 * 1024, /* read no more while this much output waits for its reader */
    WAIT_MAX_MS = 100,              /* how soon the stop flag is noticed */
};

struct tail {
    const struct config *config;
    const atomic_bool *stop;
    struct session source;
    struct session replication;
    char slot[64];
    struct slot_reader reader;
    struct batch batch;
    struct json_writer json;
    struct buffer output;
    size_t output_done; /* bytes of output that are written */
    int output_fd;
    bool output_closed; /* the reader of the output has closed it */
    bool is_streaming;
};

static bool is_over(const struct tail *tail) {
    return tail->output_closed || atomic_load_explicit(tail->stop, memory_order_relaxed);
}

static size_t output_pending(const struct tail *tail) {
    return tail->output.size - tail->output_done;
}

/* ---- changes to lines ---- */

static bool write_change(struct tail *tail, const struct change *change, struct error *err) {
    struct slice line;
    if (change->kind == CHANGE_BEGIN || change->kind == CHANGE_COMMIT)
        return true;
    if (!change_json_write(&tail->json, change, &line, err))
        return false;
    buffer_append_slice(&tail->output, line);
    return buffer_ok(&tail->output) ? true : error_no_memory(err);
}

static bool read_changes(struct tail *tail, struct error *err) {
    struct reader *reader = &tail->reader.reader;
    bool drained = false;
    if (!reader->ops->read(reader, &tail->batch, &drained, err))
        return false;
    for (size_t i = 0; i < tail->batch.change_count; i++)
        if (!write_change(tail, &tail->batch.changes[i], err))
            return false;
    batch_empty(&tail->batch);
    return true;
}

/* ---- the output ---- */

/* A pipe that is ready accepts PIPE_BUF bytes without blocking; so does a terminal. A file never blocks. */
static bool write_some(struct tail *tail, struct error *err) {
    size_t size = output_pending(tail) < PIPE_BUF ? output_pending(tail) : PIPE_BUF;
    ssize_t done = write(tail->output_fd, tail->output.data + tail->output_done, size);
    if (done < 0 && errno == EPIPE)
        tail->output_closed = true;
    else if (done < 0 && errno != EINTR && errno != EAGAIN)
        return error_errno(err, "standard output");
    if (done > 0)
        tail->output_done += (size_t) done;
    if (output_pending(tail) == 0) {
        buffer_reset(&tail->output);
        tail->output_done = 0;
    }
    return true;
}

/* Writes as long as the output accepts bytes. */
static bool push_output(struct tail *tail, struct error *err) {
    while (!is_over(tail) && output_pending(tail) > 0) {
        struct pollfd fd = {.fd = tail->output_fd, .events = POLLOUT};
        if (poll(&fd, 1, 0) <= 0)
            return true;
        if (!write_some(tail, err))
            return false;
    }
    return true;
}

/* ---- the loop ---- */

/* A closed output shows as an error on its descriptor, also when there is nothing to write. */
static bool wait_events(struct tail *tail, const struct reader_wait *wait, struct error *err) {
    struct pollfd fds[] = {
        {.fd = wait->fd, .events = wait->events},
        {.fd = tail->output_fd, .events = output_pending(tail) > 0 ? POLLOUT : 0},
    };
    if (poll(fds, 2, wait->timeout_ms < WAIT_MAX_MS ? wait->timeout_ms : WAIT_MAX_MS) < 0 && errno != EINTR)
        return error_errno(err, "poll");
    if ((fds[1].revents & (POLLERR | POLLNVAL)) != 0)
        tail->output_closed = true;
    tail->reader.reader.revents = fds[0].revents;
    return true;
}

/* What was received counts as confirmed: the slot ends with the session. */
static bool follow_once(struct tail *tail, struct error *err) {
    struct reader *reader = &tail->reader.reader;
    struct reader_wait wait = {.fd = -1};
    struct reader_tending tending = {.is_blocked = output_pending(tail) >= OUTPUT_PENDING_MAX};
    if (!tending.is_blocked && !read_changes(tail, err))
        return false;
    tending.now_ms = clock_now_ms();
    tending.durable_lsn = atomic_load(&reader->received_lsn);
    return push_output(tail, err) && reader->ops->tend(reader, &tending, &wait, err) &&
           wait_events(tail, &wait, err);
}

static bool follow(struct tail *tail, struct error *err) {
    while (!is_over(tail))
        if (!follow_once(tail, err))
            return false;
    return true;
}

/* ---- start and end ---- */

static void log_blockers(const char *blockers) {
    log_line(LOG_LEVEL_WARNING, "creating the slot waits for %s", blockers);
}

static bool require_publication(struct tail *tail, struct error *err) {
    bool exists = false;
    const char *publication = tail->config->source.publication;
    if (!publication_exists(&tail->source, &tail->config->source, &exists, err))
        return false;
    return exists ? true
                  : error_set(err, ERROR_CONFIG,
                              "source: publication %s does not exist; `pgcdc run` creates it", publication);
}

static bool start_reader(struct tail *tail, lsn_t start_lsn, int sender_timeout_ms, struct error *err) {
    const struct slot_reader_options options = {.session = &tail->replication,
                                                .source = &tail->config->source,
                                                .slot = tail->slot,
                                                .start_lsn = start_lsn,
                                                .flush_lsn = start_lsn,
                                                .stop = tail->stop,
                                                .messages = true,
                                                .sender_timeout_ms = sender_timeout_ms};
    struct reader *reader = &tail->reader.reader;
    tail->is_streaming = slot_reader_init(&tail->reader, &options, err) && reader->ops->start(reader, err);
    return tail->is_streaming;
}

static bool start(struct tail *tail, struct error *err) {
    int sender_timeout_ms = 0;
    lsn_t start_lsn = 0;
    const struct source_config *config = &tail->config->source;
    if (!source_open(&tail->source, config, tail->stop, err) || !require_publication(tail, err) ||
        !source_open_replication(&tail->replication, config, tail->stop, err) ||
        !source_sender_timeout(&tail->replication, &sender_timeout_ms, err))
        return false;
    snprintf(tail->slot, sizeof tail->slot, "pgcdc_tail_%d", PQbackendPID(tail->replication.conn));
    if (!slot_create_temporary(&tail->replication, &tail->source, tail->slot, log_blockers, &start_lsn,
                               err) ||
        !start_reader(tail, start_lsn, sender_timeout_ms, err))
        return false;
    session_close(&tail->source);
    log_line(LOG_LEVEL_INFO, "the changes of publication %s after %s", config->publication,
             lsn_format(start_lsn).text);
    return true;
}

static bool init(struct tail *tail, struct error *err) {
    buffer_init(&tail->output, SIZE_MAX / 2);
    return batch_init(&tail->batch, err) && json_writer_init(&tail->json, err);
}

static void tail_release(struct tail *tail) {
    struct reader *reader = &tail->reader.reader;
    struct error ignored;
    if (tail->is_streaming && PQtransactionStatus(tail->replication.conn) == PQTRANS_ACTIVE)
        (void) !reader->ops->finish(reader, atomic_load(&reader->received_lsn), &ignored);
    session_close(&tail->replication);
    session_close(&tail->source);
    if (reader->ops != NULL)
        reader->ops->close(reader);
    batch_release(&tail->batch);
    json_writer_release(&tail->json);
    buffer_release(&tail->output);
}

bool tail_run(const struct config *config, int output_fd, const atomic_bool *stop, struct error *err) {
    struct tail tail AUTO(tail_release) = {.config = config, .stop = stop, .output_fd = output_fd};
    return init(&tail, err) && start(&tail, err) && follow(&tail, err);
}
