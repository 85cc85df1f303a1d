/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.c - receive, decode, write a line, confirm; one thread.
 *
 * The output never blocks us: it is written in pieces that a pipe with room takes at once, so that a pager left open over
 * lunch does not cost the connection.
 */
#include "cdc/engine/tail.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/print/change_json.h"
#include "cdc/source/publication.h"
#include "cdc/readers/slot/replication.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"
#include "cdc/source/unsent_key.h"
#include "decoder/decoder.h"

enum {
    ARENA_BLOCK_BYTES = 64 * 1024,
    ARENA_RESET_BYTES = 1024 * 1024, /* what was decoded is written by then */
    OUTPUT_PENDING_MAX = 64 * 1024,  /* no further message is taken while so much waits for the reader */
    STATUS_INTERVAL_MAX_MS = 10000,
    WAIT_MS = 100, /* how soon the stop flag is noticed */
    END_TIMEOUT_MS = 1000,
};

#define ARENA_BYTES_MAX ((size_t) 1 << 30) /* a message is not copied; this holds its array of values */

struct tail {
    const struct config *config;
    const atomic_bool *stop;
    struct session source;
    struct session replication;
    struct decoder *decoder;
    struct arena arena;      /* of the changes that were decoded last */
    struct arena keys_arena; /* of what the decoder knows of keys */
    struct json_writer json;
    struct buffer output;
    size_t output_done; /* bytes of output that are written */
    int output_fd;
    bool reader_gone;
    lsn_t received_lsn;
    int64_t status_sent_ms;
    int status_interval_ms;
    bool status_due;
};

static bool is_over(const struct tail *tail) {
    return tail->reader_gone || atomic_load_explicit(tail->stop, memory_order_relaxed);
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

static bool take_data(struct tail *tail, const struct replication_message *message, struct error *err) {
    struct change *change = NULL;
    if (!decoder_decode(tail->decoder, message->lsn, message->payload, &tail->arena, &change, err))
        return error_wrap(err, "the message at %s", lsn_format(message->lsn).text);
    if (change != NULL && change->kind == CHANGE_INSERT && change->is_partial)
        return change_refuse_partial(change, err);
    if (change != NULL && !write_change(tail, change, err))
        return false;
    if (tail->arena.used_bytes >= ARENA_RESET_BYTES)
        arena_reset(&tail->arena);
    return true;
}

static bool take_message(struct tail *tail, const struct replication_message *message, struct error *err) {
    if (message->lsn > tail->received_lsn)
        tail->received_lsn = message->lsn;
    if (message->kind == REPLICATION_DATA)
        return take_data(tail, message, err);
    tail->status_due = tail->status_due || message->reply_requested;
    return true;
}

/* One message out of libpq's buffer or, when that holds none, out of the socket. */
static bool receive(struct tail *tail, struct replication_message *message, bool *ret_got,
                    struct error *err) {
    if (!replication_receive(&tail->replication, message, ret_got, err))
        return false;
    if (*ret_got)
        return true;
    if (PQconsumeInput(tail->replication.conn) == 0)
        return session_error(&tail->replication, NULL, err);
    return replication_receive(&tail->replication, message, ret_got, err);
}

static bool take_messages(struct tail *tail, struct error *err) {
    while (output_pending(tail) < OUTPUT_PENDING_MAX) {
        struct replication_message message;
        bool got = false;
        if (!receive(tail, &message, &got, err))
            return false;
        if (!got)
            return true;
        bool taken = take_message(tail, &message, err);
        replication_message_release(&message);
        if (!taken)
            return false;
    }
    return true;
}

/* ---- the reader ---- */

/* A pipe that is ready takes PIPE_BUF bytes without blocking; so does a terminal, and a file anyway. */
static bool write_some(struct tail *tail, struct error *err) {
    size_t size = output_pending(tail) < PIPE_BUF ? output_pending(tail) : PIPE_BUF;
    ssize_t done = write(tail->output_fd, tail->output.data + tail->output_done, size);
    if (done < 0 && errno == EPIPE)
        tail->reader_gone = true;
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

/* Writes as long as the reader takes it. */
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

/* ---- the server ---- */

static bool keep_alive(struct tail *tail, struct error *err) {
    bool sent = false;
    if (!tail->status_due && clock_now_ms() - tail->status_sent_ms < tail->status_interval_ms)
        return true;
    if (!replication_send_status(&tail->replication, tail->received_lsn, tail->received_lsn, false, &sent,
                                 err))
        return false;
    if (sent) {
        tail->status_due = false;
        tail->status_sent_ms = clock_now_ms();
    }
    return true;
}

/* A reader that has left shows as an error on its descriptor, also when there is nothing to write. */
static bool wait_events(struct tail *tail, struct error *err) {
    bool has_room = output_pending(tail) < OUTPUT_PENDING_MAX;
    short socket_events =
        (short) ((has_room ? POLLIN : 0) | (PQflush(tail->replication.conn) > 0 ? POLLOUT : 0));
    struct pollfd fds[] = {
        {.fd = PQsocket(tail->replication.conn), .events = socket_events},
        {.fd = tail->output_fd, .events = output_pending(tail) > 0 ? POLLOUT : 0},
    };
    if (poll(fds, 2, WAIT_MS) < 0 && errno != EINTR)
        return error_errno(err, "poll");
    if ((fds[1].revents & (POLLERR | POLLNVAL)) != 0)
        tail->reader_gone = true;
    if (!has_room && (fds[0].revents & (POLLERR | POLLHUP)) != 0)
        return error_set(err, ERROR_RETRY, "source: the connection was lost");
    return true;
}

static bool follow(struct tail *tail, struct error *err) {
    while (!is_over(tail))
        if (!take_messages(tail, err) || !push_output(tail, err) || !keep_alive(tail, err) ||
            !wait_events(tail, err))
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

static bool start(struct tail *tail, struct error *err) {
    char slot[64];
    int sender_timeout_ms = 0;
    const struct source_config *config = &tail->config->source;
    if (!source_open(&tail->source, config, tail->stop, err) || !require_publication(tail, err) ||
        !source_open_replication(&tail->replication, config, tail->stop, err) ||
        !source_sender_timeout(&tail->replication, &sender_timeout_ms, err))
        return false;
    tail->status_interval_ms = STATUS_INTERVAL_MAX_MS;
    if (sender_timeout_ms > 0 && sender_timeout_ms / 3 < STATUS_INTERVAL_MAX_MS)
        tail->status_interval_ms = sender_timeout_ms / 3;
    snprintf(slot, sizeof slot, "pgcdc_tail_%d", PQbackendPID(tail->replication.conn));
    if (!slot_create_temporary(&tail->replication, &tail->source, slot, log_blockers, &tail->received_lsn,
                               err))
        return false;
    struct unsent_keys unsent_keys = {0};
    if (!unsent_key_read(&tail->source, &tail->keys_arena, &unsent_keys, err))
        return false;
    decoder_set_unsent_keys(tail->decoder, unsent_keys);
    session_close(&tail->source);
    const struct replication_options options = {.slot = slot,
                                                .publications = config->publications,
                                                .publication_count = config->publication_count,
                                                .origin_is_none = config->origin_is_none,
                                                .messages = true};
    if (!replication_start(&tail->replication, &options, err))
        return false;
    log_line(LOG_LEVEL_INFO, "the changes of publication %s after %s", config->publication,
             lsn_format(tail->received_lsn).text);
    return true;
}

static bool init(struct tail *tail, struct error *err) {
    arena_init(&tail->arena, ARENA_BLOCK_BYTES, ARENA_BYTES_MAX);
    arena_init(&tail->keys_arena, ARENA_BLOCK_BYTES, ARENA_BYTES_MAX);
    buffer_init(&tail->output, SIZE_MAX / 2);
    tail->decoder = decoder_new();
    if (tail->decoder == NULL)
        return error_no_memory(err);
    return json_writer_init(&tail->json, err);
}

static void release(struct tail *tail) {
    if (tail->replication.conn != NULL) {
        struct error ignored;
        tail->replication.stop = NULL; /* the farewell is meant for after the stop */
        if (PQtransactionStatus(tail->replication.conn) == PQTRANS_ACTIVE)
            (void) !replication_end(&tail->replication, END_TIMEOUT_MS, &ignored);
    }
    session_close(&tail->replication);
    session_close(&tail->source);
    decoder_free(tail->decoder);
    arena_release(&tail->keys_arena);
    json_writer_release(&tail->json);
    buffer_release(&tail->output);
    arena_release(&tail->arena);
}

bool tail_run(const struct config *config, int output_fd, const atomic_bool *stop, struct error *err) {
    struct tail tail AUTO(release) = {.config = config, .stop = stop, .output_fd = output_fd};
    return init(&tail, err) && start(&tail, err) && follow(&tail, err);
}
