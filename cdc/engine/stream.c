/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - receive, decode, batch, hand on, confirm.
 *
 * A batch is handed on when it is full, or when a runner waits and the batch holds a whole transaction. While all
 * runners are busy it goes on filling: batches grow with the load by themselves.
 */
#include "cdc/engine/stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/base/cursor.h"
#include "cdc/readers/slot/replication.h"
#include "cdc/source/source.h"
#include "cdc/base/start_over.h"

enum {
    STATUS_INTERVAL_MAX_MS =
        10000,                  /* also without wal_sender_timeout: what monitoring shows should be fresh */
    CONFIRM_INTERVAL_MS = 100,  /* a new confirmation waits at most so long for its status update */
    IDLE_INTERVAL_MS = 2000,    /* an idle pipeline's position moves so often ... */
    IDLE_BYTES = 1024 * 1024,   /* ... or after so much foreign WAL, but */
    IDLE_INTERVAL_MIN_MS = 200, /* not more often than this */
    EAGER_INTERVAL_MS = 20,
    SILENCE_ASK_MS = 12000,     /* a server that says nothing is asked */
    SILENCE_MAX_MS = 25000,     /* ... and given up: the connection is dead */
    PROGRESS_BYTES = 65536,     /* a message that is not whole goes on when so much more of it came */
    STATUS_INTERVAL_MIN_MS = 5, /* a server that shuts down asks again at each answer */
    ASKED_MAX_MS = 5000,        /* ... and waits for us that long at most */
    BATCH_AGE_MS = 5,           /* under load a waiting runner waits so long for a batch to fill */
    BATCH_AGE_BEHIND_MS = 100,
    LATE_PART =
        4, /* of the age that commits have when they come: a runner waits so long, when that is a millisecond */
    BEHIND_US =
        1000000, /* commits that are older than this make a backlog; a clock that is off costs 0.1 s of lag */
    END_TIMEOUT_MS = 2000,
    MESSAGE_OVERHEAD_BYTES = 30, /* the headers of CopyData and XLogData */
    BLOCKED_WAIT_MS = 100,
    DEBUG_INTERVAL_MS = 1000,
};

/* ---- status ---- */

static int status_interval_ms(const struct stream *stream) {
    int third_ms = stream->options.sender_timeout_ms / 3;
    return third_ms > 0 && third_ms < STATUS_INTERVAL_MAX_MS ? third_ms : STATUS_INTERVAL_MAX_MS;
}

static bool send_status(struct stream *stream, bool ask_reply, struct error *err) {
    lsn_t confirmed_lsn = atomic_load_explicit(&stream->confirmed_lsn, memory_order_acquire);
    lsn_t received_lsn = atomic_load_explicit(&stream->counters.received_lsn, memory_order_relaxed);
    bool sent = false;
    if (received_lsn < confirmed_lsn)
        received_lsn = confirmed_lsn;
    if (!replication_send_status(stream->session, received_lsn, confirmed_lsn, ask_reply, &sent, err))
        return false;
    if (sent && confirmed_lsn > stream->confirmed_sent_lsn)
        log_line(LOG_LEVEL_DEBUG, "told the source: received %s, durable everywhere %s",
                 lsn_format(received_lsn).text, lsn_format(confirmed_lsn).text);
    if (sent) {
        stream->confirmed_sent_lsn = confirmed_lsn;
        stream->status_sent_ms = clock_now_ms();
        stream->status_due = false;
        stream->asked = stream->asked || ask_reply;
    }
    return true;
}

/*
 * A server that shuts down asks for the confirmation of everything, and waits for it for ever. While a sink is stuck we
 * cannot give it; leaving lets the server stop, and costs nothing but a new start.
 */
static bool let_server_go(struct stream *stream, int64_t now_ms, struct error *err) {
    if (stream->asked_lsn == 0)
        return true;
    if (atomic_load_explicit(&stream->confirmed_lsn, memory_order_relaxed) >= stream->asked_lsn) {
        stream->asked_lsn = 0;
        return true;
    }
    if (now_ms - stream->asked_since_ms < ASKED_MAX_MS)
        return true;
    return error_set(
        err, ERROR_RETRY,
        "source: the server wants %s confirmed, which the sinks do not have yet; it may be shutting down",
        lsn_format(stream->asked_lsn).text);
}

/* What a keepalive said counts once it was said twice; a server that is not asked may be silent for long. */
static int64_t keepalive_interval_ms(const struct stream *stream) {
    return stream->options.until_lsn != 0 ? STATUS_INTERVAL_MIN_MS : CONFIRM_INTERVAL_MS;
}

/* Keeps the server content, and finds out whether it is still there. */
static bool keep_alive(struct stream *stream, int64_t now_ms, struct error *err) {
    int64_t since_ms = now_ms - stream->status_sent_ms;
    bool confirms =
        atomic_load_explicit(&stream->confirmed_lsn, memory_order_relaxed) > stream->confirmed_sent_lsn;
    bool silent = now_ms - stream->heard_ms > SILENCE_ASK_MS;
    const bool wants_keepalive =
        wal_end_wants_keepalive(&stream->wal) && !stream->at_end && since_ms >= keepalive_interval_ms(stream);
    if (now_ms - stream->heard_ms > SILENCE_MAX_MS && stream->asked && stream->is_partial)
        return error_set(err, ERROR_RETRY,
                         "source: a message of the server does not go on for %d s: its length may be damaged",
                         SILENCE_MAX_MS / 1000);
    if (now_ms - stream->heard_ms > SILENCE_MAX_MS && stream->asked)
        return error_set(err, ERROR_RETRY, "source: no word from the server for %d s", SILENCE_MAX_MS / 1000);
    if (!let_server_go(stream, now_ms, err))
        return false;
    if ((stream->status_due && since_ms >= STATUS_INTERVAL_MIN_MS) ||
        since_ms >= status_interval_ms(stream) || (confirms && since_ms >= CONFIRM_INTERVAL_MS) ||
        wants_keepalive || (silent && !stream->asked))
        return send_status(stream, silent || wants_keepalive, err);
    return true;
}

/* ---- batches ---- */

/* True when there is a batch to fill. */
static bool have_batch(struct stream *stream) {
    if (stream->batch == NULL)
        stream->batch = pool_take(&stream->pool);
    return stream->batch != NULL;
}

/* One a second at most. */
static void debug_batch(struct stream *stream, const struct batch *batch) {
    stream->batches_handed_on++;
    if (!log_wants(LOG_LEVEL_DEBUG) || clock_now_ms() - stream->debugged_ms < DEBUG_INTERVAL_MS)
        return;
    stream->debugged_ms = clock_now_ms();
    log_line(LOG_LEVEL_DEBUG,
             "batch %" PRIu64
             ": %zu changes, %zu of them of whole transactions, %zu bytes; nothing else before %s",
             stream->batches_handed_on, batch->change_count, batch->whole_count, batch->arena.used_bytes,
             lsn_format(batch->caught_up_lsn).text);
}

/* With a batch that ends a transaction, or that says how far an idle source is, goes a position that the sinks will store. */
static bool hand_on(struct stream *stream, struct error *err) {
    struct batch *batch = stream->batch;
    const bool has_position = batch->whole_count > 0 || batch->caught_up_lsn != 0;
    if (has_position && !standby_check_timeline(stream->options.standby, stream->options.timeline, err))
        return false;
    stream->batch = NULL;
    debug_batch(stream, batch);
    stream->is_split = batch->change_count > batch->whole_count;
    batch_seal(batch, (unsigned) stream->runner_count);
    for (size_t i = 0; i < stream->runner_count; i++)
        queue_push(&stream->runners[i].queue, batch);
    return true;
}

static bool a_runner_waits(struct stream *stream) {
    for (size_t i = 0; i < stream->runner_count; i++)
        if (queue_is_hungry(&stream->runners[i].queue))
            return true;
    return false;
}

/* An idle source's position goes along with the data, or by itself at intervals. */
static bool idle_is_due(const struct stream *stream, int64_t now_ms) {
    if (stream->idle_lsn <= stream->idle_sent_lsn)
        return false;
    int64_t since_ms = now_ms - stream->idle_sent_ms;
    if (stream->idle_urgent || stream->batch->change_count > 0)
        return true;
    if (stream->options.until_lsn > stream->idle_sent_lsn)
        return since_ms >= EAGER_INTERVAL_MS;
    return since_ms >= IDLE_INTERVAL_MS ||
           (since_ms >= IDLE_INTERVAL_MIN_MS && stream->idle_lsn - stream->idle_sent_lsn >= IDLE_BYTES);
}

static void note_idle(struct stream *stream, int64_t now_ms) {
    const bool in_transaction = decoder_in_transaction(stream->decoder) && !stream->at_end;
    if (in_transaction || !idle_is_due(stream, now_ms))
        return;
    stream->batch->caught_up_lsn = stream->idle_lsn;
    stream->idle_sent_lsn = stream->idle_lsn;
    stream->idle_sent_ms = now_ms;
    stream->idle_urgent = false;
}

static bool is_behind(const struct stream *stream) {
    return stream->commit_age_us > BEHIND_US;
}

/*
 * How long a runner that waits lets a batch grow. Small batches cost everybody on the way more for each transaction, so that they
 * would keep late what is late: the server lags, its transactions come one by one, each makes a batch.
 */
static int batch_age_ms(const struct stream *stream) {
    if (stream->fill.fills)
        return is_behind(stream) ? BATCH_AGE_BEHIND_MS : BATCH_AGE_MS;
    int64_t late_ms = stream->commit_age_us / 1000 / LATE_PART;
    return late_ms < 0 ? 0 : late_ms > BATCH_AGE_MS ? BATCH_AGE_MS : (int) late_ms;
}

/* After the socket gave nothing more. */
static bool offer_batch(struct stream *stream, int64_t now_ms, struct error *err) {
    if (!have_batch(stream))
        return true;
    note_idle(stream, now_ms);
    const struct batch *batch = stream->batch;
    if (batch->whole_count == 0 && batch->caught_up_lsn == 0)
        return true;
    if (batch->caught_up_lsn == 0 && now_ms - stream->batch_since_ms < batch_age_ms(stream))
        return true;
    return !a_runner_waits(stream) || hand_on(stream, err);
}

/* ---- messages ---- */

/* Nothing more is read. Every transaction that ends at or before until_lsn came, so that position may be stored. */
static void end_at_until(struct stream *stream) {
    const lsn_t until_lsn = stream->options.until_lsn;
    stream->at_end = true;
    stream->idle_lsn = until_lsn;
    stream->idle_urgent = true;
    atomic_store(&stream->counters.end_lsn, until_lsn);
    eventfd_write(stream->event_fd, 1);
}

/* A sink that splits transactions has made parts durable before the Commit said where it ends. */
static void tell_parts(const struct stream *stream) {
    for (size_t i = 0; i < stream->runner_count && stream->is_split; i++) {
        const struct sink *sink = stream->runners[i].sink;
        if (sink->ops->skip != NULL)
            log_line(
                LOG_LEVEL_WARNING,
                "sink %s: %s lies inside of the commit record of a large transaction, of which a part may be there "
                "already; the next run goes on behind that part",
                sink->config->name, lsn_format(stream->options.until_lsn).text);
    }
}

/*
 * The commit record of this transaction begins before until_lsn and ends behind it. A position inside the record would call the
 * transaction present, so the last one before it is the end. Parts of it that were handed on are undone by the sinks' close, or
 * stay where they are durable.
 */
static void end_before_transaction(struct stream *stream) {
    tell_parts(stream);
    stream->at_end = true;
    stream->idle_lsn = stream->idle_sent_lsn;
    batch_cut(stream->batch);
    atomic_store(&stream->counters.end_lsn, stream->whole_lsn);
    eventfd_write(stream->event_fd, 1);
}

/* True: the change lies behind the end, and so does everything after it. */
static bool is_behind_end(struct stream *stream, const struct change *change) {
    const lsn_t until_lsn = stream->options.until_lsn;
    if (until_lsn == 0)
        return false;
    if (change->kind == CHANGE_COMMIT && change->end_lsn > until_lsn) {
        end_before_transaction(stream);
        return true;
    }
    if (change->kind == CHANGE_COMMIT && stream->is_leaving)
        end_at_until(stream);
    /* One wrong bit in Begin must not leave out what is in front of the end, so its Commit is awaited. */
    if (change->kind == CHANGE_BEGIN)
        stream->is_leaving = change->transaction->commit_lsn >= until_lsn;
    return stream->at_end || stream->is_leaving;
}

/* ---- what may be believed ---- */

/* The stream cannot be asked, and whoever garbles it should not be. */
static bool ask_flush_lsn(struct stream *stream, lsn_t *ret_flush_lsn, struct error *err) {
    static const char SQL[] =
        "select case when pg_catalog.pg_is_in_recovery() then greatest(pg_catalog.pg_last_wal_receive_lsn(),"
        " pg_catalog.pg_last_wal_replay_lsn()) else pg_catalog.pg_current_wal_flush_lsn() end";
    struct session session = {0};
    PGresult *result AUTO_PGRESULT = NULL;
    bool asked = source_open(&session, stream->options.source, stream->options.stop, err) &&
                 session_query(&session, SQL, 0, NULL,
                               &(const struct result_shape){"the query for the end of its WAL", 1, 1, 1, 0},
                               &result, err);
    session_close(&session);
    if (!asked)
        return false;
    if (!lsn_parse(PQgetvalue(result, 0, 0), ret_flush_lsn))
        return error_set(err, ERROR_PROTOCOL, "source: the end of the WAL is not an LSN");
    return true;
}

/* Nothing that the source does not have is stored or confirmed. */
static bool check_exists(struct stream *stream, lsn_t lsn, struct error *err) {
    lsn_t flush_lsn = 0;
    if (wal_end_is_near(&stream->wal, lsn))
        return true;
    if (!ask_flush_lsn(stream, &flush_lsn, err))
        return false;
    wal_end_know(&stream->wal, flush_lsn);
    if (lsn <= flush_lsn)
        return true;
    return error_set(err, ERROR_PROTOCOL,
                     "source: the stream is at %s, but the server's WAL ends at %s: what the server sends is "
                     "damaged on the way",
                     lsn_format(lsn).text, lsn_format(flush_lsn).text);
}

static bool check_change(struct stream *stream, const struct replication_message *message,
                         const struct change *change, struct error *err) {
    if (change->kind == CHANGE_BEGIN)
        return wal_end_check_begin(&stream->wal, change->transaction->commit_lsn, err);
    if (change->kind != CHANGE_COMMIT)
        return true;
    return wal_end_note_commit(&stream->wal, change->end_lsn, message->lsn, err) &&
           check_exists(stream, change->end_lsn, err);
}

/* ---- messages ---- */

static void note_commit(struct stream *stream, const struct change *change) {
    stream->whole_lsn = change->end_lsn;
    socket_fill_note_transaction(&stream->fill, stream->transaction_bytes);
}

/* A partition that is younger than the stream: the catalog says whose it is. */
static bool takes_newcomer(struct stream *stream, struct slice schema, struct slice name, bool *ret_takes,
                           struct error *err) {
    struct session session = {0};
    PGresult *sent AUTO_PGRESULT = NULL;
    const struct source_config *source = stream->options.source;
    bool read = source_open(&session, source, stream->options.stop, err) &&
                scope_read_announced(&session, source, &sent, err);
    session_close(&session);
    if (!read)
        return error_wrap(err, "table \"%.*s\".\"%.*s\" is new", (int) schema.size, schema.data,
                          (int) name.size, name.data);
    *ret_takes = scope_takes_relation(source, sent, schema, name);
    return true;
}

/*
 * A definition comes before a relation's first change, and again after the catalog has changed. A publication that was altered
 * since the start gets nothing to a sink that source.tables does not name.
 */
static bool check_relation(struct stream *stream, struct slice payload, struct error *err) {
    const struct source_config *source = stream->options.source;
    struct cursor cursor = cursor_over(payload);
    cursor_bytes(&cursor, 1);
    const oid_t oid = cursor_u32(&cursor);
    struct slice schema = cursor_string(&cursor);
    struct slice name = cursor_string(&cursor);
    log_line(LOG_LEVEL_DEBUG, "relation %u is \"%.*s\".\"%.*s\"", oid, (int) schema.size, schema.data,
             (int) name.size, name.data);
    watch_poke(stream->options.watch);
    bool takes = scope_takes_relation(source, stream->options.sent, schema, name);
    if (!takes && !takes_newcomer(stream, schema, name, &takes, err))
        return false;
    if (takes)
        return true;
    error_set(err, ERROR_CONFIG,
              "publication %s sends changes of table \"%.*s\".\"%.*s\", which source.tables does not name",
              source->publication, (int) schema.size, schema.data, (int) name.size, name.data);
    return error_remedy(
        err, "name it there, or, when nobody may have them, take it out of the publication, " START_OVER);
}

static void note_received(struct stream *stream, lsn_t lsn) {
    lsn_t received_lsn = atomic_load_explicit(&stream->counters.received_lsn, memory_order_relaxed);
    if (lsn > received_lsn)
        atomic_store_explicit(&stream->counters.received_lsn, lsn, memory_order_relaxed);
}

/* libpq's buffer is given back at once; what stays lives in the batch. */
static bool take_data(struct stream *stream, const struct replication_message *message, struct error *err) {
    struct arena *arena = &stream->batch->arena;
    struct change *change = NULL;
    struct slice payload = {.size = message->payload.size};
    if (stream->is_leaving && payload.size > 0 && message->payload.data[0] != 'C')
        return true;
    char *bytes = arena_alloc(arena, payload.size);
    if (bytes == NULL)
        return error_set(err, ERROR_SYSTEM, "out of memory for a change of %zu bytes", payload.size);
    memcpy(bytes, message->payload.data, payload.size);
    payload.data = bytes;
    if (payload.size > 0 && bytes[0] == 'R' && !check_relation(stream, payload, err))
        return false;
    if (!decoder_decode(stream->decoder, message->lsn, payload, arena, &change, err))
        return error_wrap(err, "the message at %s", lsn_format(message->lsn).text);
    atomic_fetch_add_explicit(&stream->counters.bytes, payload.size, memory_order_relaxed);
    if (change != NULL && !check_change(stream, message, change, err))
        return false;
    if (change == NULL || is_behind_end(stream, change))
        return true;
    if (change->kind == CHANGE_INSERT && change->is_partial &&
        !row_fetch_complete(&stream->fetch, change, arena, err))
        return false;
    if (stream->batch->change_count == 0)
        stream->batch_since_ms = clock_now_ms();
    if (change->kind == CHANGE_BEGIN) {
        stream->commit_age_us = clock_postgres_us() - change->transaction->commit_time_us;
        stream->transaction_bytes = 0;
        stream->commit_lsn = transaction_named_lsn(change->transaction);
    }
    stream->transaction_bytes += payload.size + MESSAGE_OVERHEAD_BYTES;
    if (change->kind == CHANGE_COMMIT)
        note_commit(stream, change);
    batch_append(stream->batch, change);
    atomic_fetch_add_explicit(&stream->counters.changes, 1, memory_order_relaxed);
    return true;
}

/*
 * Everything before a keepalive's LSN was sent before it, so with what was received handed on it may be confirmed.
 * Inside a transaction it says nothing that could be used.
 */
static bool take_keepalive(struct stream *stream, const struct replication_message *message,
                           struct error *err) {
    stream->status_due = stream->status_due || message->reply_requested;
    if (decoder_in_transaction(stream->decoder))
        return true;
    if (message->reply_requested && stream->asked_lsn == 0)
        stream->asked_since_ms = clock_now_ms();
    if (message->reply_requested)
        stream->asked_lsn = message->lsn;
    stream->idle_urgent = stream->idle_urgent || message->reply_requested;
    const lsn_t lsn = wal_end_note_keepalive(&stream->wal, message->lsn);
    if (lsn == 0)
        return true;
    if (!check_exists(stream, lsn, err))
        return false;
    note_received(stream, lsn);
    if (stream->options.until_lsn != 0 && lsn >= stream->options.until_lsn)
        end_at_until(stream);
    else
        stream->idle_lsn = lsn;
    return true;
}

static bool take_message(struct stream *stream, const struct replication_message *message,
                         struct error *err) {
    if (message->kind == REPLICATION_KEEPALIVE)
        return take_keepalive(stream, message, err);
    note_received(stream, message->lsn);
    return take_data(stream, message, err);
}

static bool fail_in_transaction(const struct stream *stream, struct error *err) {
    if (!decoder_in_transaction(stream->decoder) || err->kind == ERROR_RETRY)
        return false;
    return error_wrap(err, "the transaction that commits at %s", lsn_format(stream->commit_lsn).text);
}

/* Takes what libpq has, until there is nothing more or no batch to put it in. */
static bool take_messages(struct stream *stream, size_t *ret_bytes, bool *ret_drained, struct error *err) {
    for (;;) {
        bool got = false;
        struct replication_message message;
        *ret_drained = false;
        if (stream->at_end || !have_batch(stream))
            return true;
        if (!replication_receive(stream->session, &message, &got, err))
            return fail_in_transaction(stream, err);
        *ret_drained = !got;
        if (!got)
            return true;
        *ret_bytes += message.payload.size + MESSAGE_OVERHEAD_BYTES;
        bool taken = take_message(stream, &message, err);
        replication_message_release(&message);
        if (!taken)
            return false;
        if (stream->at_end)
            return true;
        if (batch_is_full(stream->batch) && !hand_on(stream, err))
            return false;
    }
}

/* Reads the socket until it is empty or every batch is in use. */
static bool drain_socket(struct stream *stream, size_t *ret_bytes, bool *ret_blocked, struct error *err) {
    bool drained = true;
    size_t before = SIZE_MAX;
    *ret_bytes = 0;
    if (!take_messages(stream, ret_bytes, &drained, err))
        return false;
    while (drained && *ret_bytes != before) {
        before = *ret_bytes;
        if (PQconsumeInput(stream->session->conn) == 0)
            return session_error(stream->session, NULL, err);
        if (!take_messages(stream, ret_bytes, &drained, err))
            return false;
    }
    *ret_blocked = !drained;
    if (stream->publication_missing)
        return error_set(
                   err, ERROR_REFUSE,
                   "source: publication %s does not exist for a part of the WAL: it was created after the slot or dropped "
                   "since",
                   stream->options.source->publication) ||
               error_remedy(err, START_OVER);
    return true;
}

/* ---- the socket ---- */

/* Until a batch that grows is old enough to be handed on; -1: nothing waits for that. A runner that comes later wakes us. */
static int64_t batch_left_ms(const struct stream *stream, int64_t now_ms) {
    if (stream->batch == NULL || stream->batch->whole_count == 0)
        return -1;
    return stream->batch_since_ms + batch_age_ms(stream) - now_ms;
}

/* How long nothing needs to be done. */
static int wait_ms(const struct stream *stream, int64_t now_ms) {
    if (socket_fill_is_set(&stream->fill))
        return socket_fill_wait_ms(&stream->fill, now_ms);
    if (stream->status_due)
        return STATUS_INTERVAL_MIN_MS;
    int64_t wait = status_interval_ms(stream) - (now_ms - stream->status_sent_ms);
    if (stream->idle_lsn > stream->idle_sent_lsn || stream->options.until_lsn > stream->idle_sent_lsn)
        wait = wait < EAGER_INTERVAL_MS ? wait : EAGER_INTERVAL_MS;
    if (atomic_load_explicit(&stream->confirmed_lsn, memory_order_relaxed) > stream->confirmed_sent_lsn)
        wait = wait < CONFIRM_INTERVAL_MS ? wait : CONFIRM_INTERVAL_MS;
    if (wal_end_wants_keepalive(&stream->wal) && wait > keepalive_interval_ms(stream))
        wait = keepalive_interval_ms(stream);
    int64_t batch_left = batch_left_ms(stream, now_ms);
    if (batch_left > 0 && batch_left < wait)
        wait = batch_left;
    if (wait > 1000)
        wait = 1000;
    return wait > 1 ? (int) wait : 1;
}

/*
 * What comes belongs to a message that is not whole. A large one comes in many parts; one whose length is wrong swallows
 * the few bytes of a server that has nothing to send, and hides its answers.
 */
static void note_part(struct stream *stream) {
    int size = 0;
    if (ioctl(PQsocket(stream->session->conn), FIONREAD, &size) == 0 && size > 0)
        stream->partial_bytes += (size_t) size;
    if (stream->partial_bytes < PROGRESS_BYTES)
        return;
    stream->partial_bytes = 0;
    stream->heard_ms = clock_now_ms();
    stream->asked = false;
}

static bool wait_events(struct stream *stream, bool blocked, struct error *err) {
    int64_t now_ms = clock_now_ms();
    short socket_events = blocked ? 0 : socket_fill_events(&stream->fill, now_ms);
    int left = PQflush(stream->session->conn);
    if (left < 0)
        return session_error(stream->session, NULL, err);
    if (left > 0)
        socket_events |= POLLOUT;
    struct pollfd fds[] = {{.fd = stream->wake_fd, .events = POLLIN},
                           {.fd = PQsocket(stream->session->conn), .events = socket_events}};
    int timeout_ms = blocked ? BLOCKED_WAIT_MS : wait_ms(stream, now_ms);
    if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
        return error_errno(err, "poll");
    eventfd_t count;
    if ((fds[0].revents & POLLIN) != 0)
        eventfd_read(stream->wake_fd, &count);
    stream->is_readable = (fds[1].revents & POLLIN) != 0;
    if (stream->is_readable && stream->is_partial)
        note_part(stream);
    if (blocked && (fds[1].revents & (POLLERR | POLLHUP)) != 0)
        return error_set(err, ERROR_RETRY, "source: the connection was lost");
    return true;
}

/* ---- the thread ---- */

static bool read_socket(struct stream *stream, struct socket_reading *reading, struct error *err) {
    if (!drain_socket(stream, &reading->bytes, &reading->blocked, err))
        return false;
    reading->now_ms = clock_now_ms();
    reading->behind = is_behind(stream);
    if (reading->bytes == 0 && !reading->blocked) {
        stream->is_partial = stream->is_partial || stream->is_readable;
        return true;
    }
    stream->is_partial = false;
    stream->partial_bytes = 0;
    stream->heard_ms = reading->now_ms;
    stream->asked = false;
    return true;
}

static bool read_once(struct stream *stream, struct error *err) {
    struct socket_reading reading = {.now_ms = clock_now_ms()};
    const bool rests = socket_fill_rests(&stream->fill, reading.now_ms);
    if (!rests && !read_socket(stream, &reading, err))
        return false;
    if (!offer_batch(stream, reading.now_ms, err) || !keep_alive(stream, reading.now_ms, err))
        return false;
    reading.wanted = a_runner_waits(stream) && batch_age_ms(stream) == 0;
    reading.in_transaction = decoder_in_transaction(stream->decoder);
    if (!rests)
        socket_fill_note(&stream->fill, &reading);
    return wait_events(stream, reading.blocked, err);
}

/* Hands on what there is, reads no more; the end of what was asked for. */
static bool wait_at_end(struct stream *stream, struct error *err) {
    int64_t now_ms = clock_now_ms();
    stream->heard_ms = now_ms;
    const bool has_news = stream->batch != NULL || stream->idle_lsn > stream->idle_sent_lsn;
    if (has_news && !offer_batch(stream, now_ms, err))
        return false;
    return keep_alive(stream, now_ms, err) && wait_events(stream, true, err);
}

/* Reads no more; goes on confirming until told to end. */
static bool confirm_once(struct stream *stream, struct error *err) {
    int64_t now_ms = clock_now_ms();
    stream->heard_ms = now_ms;
    return keep_alive(stream, now_ms, err) && wait_events(stream, true, err);
}

static bool stream_run(struct stream *stream, struct error *err) {
    stream->heard_ms = clock_now_ms();
    while (atomic_load(&stream->wanted) == STREAM_READING)
        if (!(stream->at_end ? wait_at_end : read_once)(stream, err))
            return false;
    socket_fill_end(&stream->fill); /* the server's last words are short, and must wake us */
    if (stream->batch != NULL)
        batch_discard(stream->batch);
    stream->batch = NULL;
    atomic_store(&stream->state, STREAM_DRAINING);
    eventfd_write(stream->event_fd, 1);
    while (atomic_load(&stream->wanted) == STREAM_DRAINING)
        if (!confirm_once(stream, err))
            return false;
    FAULT_POINT("stream-before-last-status");
    return send_status(stream, false, err) && replication_end(stream->session, END_TIMEOUT_MS, err);
}

static void *stream_main(void *argument) {
    struct stream *stream = argument;
    bool good = stream_run(stream, &stream->error);
    if (stream->batch != NULL)
        batch_discard(stream->batch);
    stream->batch = NULL;
    atomic_store(&stream->state, good ? STREAM_ENDED : STREAM_FAILED);
    eventfd_write(stream->event_fd, 1);
    return NULL;
}

/*
 * Since 18 a publication that is missing for a part of the WAL is skipped with a mere warning: changes lost. It is known by its code and
 * by the server's function, since its words are in the server's language; settings.c sees to it that it is sent.
 */
static void take_notice(void *argument, const PGresult *result) {
    struct stream *stream = argument;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *place = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    if (sqlstate != NULL && place != NULL && strcmp(sqlstate, "55000") == 0 &&
        strcmp(place, "LoadPublications") == 0)
        stream->publication_missing = true;
}

/* ---- the supervisor's side ---- */

bool stream_init(struct stream *stream, int event_fd, struct error *err) {
    *stream = (struct stream){.event_fd = event_fd, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (stream->wake_fd < 0)
        return error_errno(err, "eventfd");
    return pool_init(&stream->pool, stream->wake_fd, err);
}

bool stream_start(struct stream *stream, struct session *session, const struct stream_options *options,
                  struct runner *runners, size_t runner_count, struct error *err) {
    assert(!stream->started);
    assert(runner_count > 0);
    stream->session = session;
    stream->options = *options;
    stream->runners = runners;
    stream->runner_count = runner_count;
    stream->idle_sent_lsn = options->start_lsn;
    stream->whole_lsn = options->start_lsn;
    wal_end_init(&stream->wal, options->start_lsn, options->flush_lsn);
    stream->status_due = true;
    stream->fetch =
        (struct row_fetch){.source = options->source, .stop = session->stop, .binary = options->binary};
    stream->decoder = decoder_new();
    if (stream->decoder == NULL)
        return error_no_memory(err);
    decoder_set_unsent_keys(stream->decoder, options->unsent_keys);
    PQsetNoticeReceiver(session->conn, take_notice, stream);
    const struct replication_options replication = {.slot = options->source->slot,
                                                    .publications = options->source->publications,
                                                    .publication_count = options->source->publication_count,
                                                    .origin_is_none = options->source->origin_is_none,
                                                    .start_lsn = options->start_lsn,
                                                    .binary = options->binary};
    if (!replication_start(session, &replication, err))
        return false;
    socket_fill_init(&stream->fill, PQsocket(session->conn));
    /* From here the stream's own loop watches for orders; its last words are sent after the program was told to stop. */
    session->stop = NULL;
    int failure = pthread_create(&stream->thread, NULL, stream_main, stream);
    if (failure != 0)
        return error_set(err, ERROR_SYSTEM, "a thread for the stream: %s", strerror(failure));
    stream->started = true;
    return true;
}

void stream_confirm(struct stream *stream, lsn_t lsn) {
    lsn_t before_lsn = atomic_exchange_explicit(&stream->confirmed_lsn, lsn, memory_order_acq_rel);
    assert(before_lsn <= lsn);
    if (stream->started && lsn > before_lsn)
        eventfd_write(stream->wake_fd, 1);
}

static void want(struct stream *stream, enum stream_state state) {
    atomic_store(&stream->wanted, state);
    eventfd_write(stream->wake_fd, 1);
}

void stream_drain(struct stream *stream) {
    if (stream->started)
        want(stream, STREAM_DRAINING);
}

void stream_end(struct stream *stream) {
    if (stream->started)
        want(stream, STREAM_ENDED);
}

void stream_join(struct stream *stream) {
    if (!stream->started)
        return;
    pthread_join(stream->thread, NULL);
    stream->started = false;
}

void stream_release(struct stream *stream) {
    pool_release(&stream->pool);
    row_fetch_release(&stream->fetch);
    decoder_free(stream->decoder);
    stream->decoder = NULL;
    if (stream->wake_fd >= 0)
        close(stream->wake_fd);
    stream->wake_fd = -1;
}
