/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot_reader.c - reads the socket, fills the batch, answers the server.
 */
#include "cdc/readers/slot/slot_reader.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/base/start_over.h"
#include "cdc/readers/slot/failed_table.h"
#include "cdc/readers/slot/replication.h"
#include "cdc/readers/slot/signal_message.h"
#include "cdc/source/own_tables.h"
#include "cdc/source/source.h"

enum {
    END_TIMEOUT_MS = 2000,
    MESSAGE_OVERHEAD_BYTES = 30, /* the headers of CopyData and XLogData */
    BLOCKED_WAIT_MS = 100,
    TABLE_NAMES_MAX = 512,
};

static struct slot_reader *slot_of(struct reader *reader) {
    return (struct slot_reader *) reader;
}

/* ---- the end that was asked for ---- */

/*
 * Reads no more. Every transaction that ends at or before until_lsn was delivered, so that position may be
 * stored.
 */
static void end_at_until(struct slot_reader *slot) {
    assert(!reader_has_ended(&slot->reader));
    slot->reader.caught_up_lsn = slot->options.until_lsn;
    slot->reader.is_urgent = true;
    atomic_store(&slot->reader.end_lsn, slot->options.until_lsn);
}

/*
 * The commit record of this transaction begins before until_lsn and ends after it. A position inside the
 * record would mean that the transaction is present, so the end of the previous transaction is the end. Parts
 * that were already handed on are rolled back by the sinks' close, or stay where they are durable.
 */
static void end_before_transaction(struct slot_reader *slot, struct batch *batch) {
    assert(!reader_has_ended(&slot->reader));
    slot->reader.caught_up_lsn = 0;
    batch_cut(batch);
    atomic_store(&slot->reader.end_lsn, slot->whole_lsn);
}

/* True: the change is after the end, and so is everything after it. */
static bool is_behind_end(struct slot_reader *slot, struct batch *batch, const struct change *change) {
    const lsn_t until_lsn = slot->options.until_lsn;
    if (until_lsn == 0)
        return false;
    if (change->kind == CHANGE_COMMIT && change->end_lsn > until_lsn) {
        end_before_transaction(slot, batch);
        return true;
    }
    if (change->kind == CHANGE_COMMIT && slot->is_leaving)
        end_at_until(slot);
    /* One damaged bit in Begin must not drop a transaction before the end, so the Commit must confirm it. */
    if (change->kind == CHANGE_BEGIN)
        slot->is_leaving = change->transaction->commit_lsn >= until_lsn;
    return reader_has_ended(&slot->reader) || slot->is_leaving;
}

/* ---- what may be believed ---- */

/* Asks on another connection, since the stream itself may be damaged. */
static bool ask_flush_lsn(const struct slot_reader *slot, lsn_t *ret_flush_lsn, struct error *err) {
    static const char SQL[] =
        "select case when pg_catalog.pg_is_in_recovery() then greatest(pg_catalog.pg_last_wal_receive_lsn(),"
        " pg_catalog.pg_last_wal_replay_lsn()) else pg_catalog.pg_current_wal_flush_lsn() end";
    struct session session = {0};
    PGresult *result AUTO_PGRESULT = NULL;
    bool asked = source_open(&session, &slot->reader.config->source, slot->reader.stop, err) &&
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

/* A position that the source does not have is neither stored nor confirmed. */
static bool check_exists(struct slot_reader *slot, lsn_t lsn, struct error *err) {
    lsn_t flush_lsn = 0;
    if (wal_end_is_near(&slot->wal, lsn))
        return true;
    if (!ask_flush_lsn(slot, &flush_lsn, err))
        return false;
    wal_end_know(&slot->wal, flush_lsn);
    if (lsn <= flush_lsn)
        return true;
    return error_set(err, ERROR_PROTOCOL,
                     "source: the stream is at %s, but the server's WAL ends at %s: "
                     "the server's data is damaged in transit",
                     lsn_format(lsn).text, lsn_format(flush_lsn).text);
}

static bool check_change(struct slot_reader *slot, const struct replication_message *message,
                         const struct change *change, struct error *err) {
    if (change->kind == CHANGE_BEGIN)
        return wal_end_check_begin(&slot->wal, change->transaction->commit_lsn, err);
    if (change->kind != CHANGE_COMMIT)
        return true;
    return wal_end_note_commit(&slot->wal, change->end_lsn, message->lsn, err) &&
           check_exists(slot, change->end_lsn, err);
}

static bool check_relation(struct slot_reader *slot, struct slice payload, struct error *err) {
    if (slot->reader.definition_fd > 0)
        eventfd_write(slot->reader.definition_fd, 1);
    return announced_check(&slot->announced, payload, err) &&
           key_lookup_tell(&slot->keys, slot->decoder, slot->commit_lsn, payload, err);
}

/* ---- messages ---- */

static void note_received(struct slot_reader *slot, lsn_t lsn) {
    if (lsn > atomic_load_explicit(&slot->reader.received_lsn, memory_order_relaxed))
        atomic_store_explicit(&slot->reader.received_lsn, lsn, memory_order_relaxed);
}

static void slot_reader_append(struct slot_reader *slot, struct batch *batch, const struct change *change,
                               size_t message_bytes) {
    if (change->kind == CHANGE_BEGIN) {
        slot->reader.commit_age_us = clock_postgres_us() - change->transaction->commit_time_us;
        slot->transaction_bytes = 0;
        slot->commit_lsn = transaction_named_lsn(change->transaction);
        slot->begun_lsn = change->transaction->commit_lsn;
    }
    slot->transaction_bytes += message_bytes + MESSAGE_OVERHEAD_BYTES;
    if (change->kind == CHANGE_COMMIT) {
        slot->whole_lsn = change->end_lsn;
        socket_fill_note_transaction(&slot->fill, slot->transaction_bytes);
    }
    batch_append(batch, change);
}

/*
 * Messages of pg_logical_emit_message: those of the source's triggers are for us. If others are not wanted,
 * no change gets another index because of them.
 */
static bool take_logical(struct slot_reader *slot, const struct replication_message *message, bool *ret_taken,
                         struct error *err) {
    bool is_own = false;
    *ret_taken = message->payload.size > 0 && message->payload.data[0] == 'M';
    if (!*ret_taken)
        return true;
    if (!told_columns_take(&slot->told, decoder_xid(slot->decoder), message->payload, &is_own, err))
        return error_wrap(err, "the message at %s", lsn_format(message->lsn).text);
    *ret_taken = is_own || !slot->options.messages;
    return true;
}

/* A request to the engine, which is no change. `tail` shows it as what it is. */
static bool take_signal(struct slot_reader *slot, struct batch *batch, struct slice payload, bool *ret_taken,
                        struct error *err) {
    struct batch_signal signal;
    const lsn_t commit_lsn = decoder_in_transaction(slot->decoder) ? slot->begun_lsn : 0;
    *ret_taken = false;
    if (!slot->reader.config->signals || slot->options.messages || payload.size == 0 ||
        payload.data[0] != 'M' || !signal_message_read(payload, commit_lsn, &signal))
        return true;
    signal.text.data = arena_copy(&batch->arena, signal.text);
    if (signal.text.data == NULL)
        return error_set(err, ERROR_SYSTEM, "out of memory for a message of %zu bytes", signal.text.size);
    batch_signal(batch, &signal);
    *ret_taken = true;
    return true;
}

/* libpq's buffer is released at once; the batch keeps a copy. */
static bool take_data(struct slot_reader *slot, struct batch *batch,
                      const struct replication_message *message, struct error *err) {
    struct change *change = NULL;
    struct slice payload = {.size = message->payload.size};
    bool is_taken = false;
    if (slot->is_leaving && payload.size > 0 && message->payload.data[0] != 'C')
        return true;
    if (!take_signal(slot, batch, message->payload, &is_taken, err))
        return false;
    if (!is_taken && !take_logical(slot, message, &is_taken, err))
        return false;
    if (is_taken)
        return true;
    char *bytes = arena_alloc(&batch->arena, payload.size);
    if (bytes == NULL)
        return error_set(err, ERROR_SYSTEM, "out of memory for a change of %zu bytes", payload.size);
    memcpy(bytes, message->payload.data, payload.size);
    payload.data = bytes;
    if (payload.size > 0 && bytes[0] == 'R' && !check_relation(slot, payload, err))
        return false;
    if (!decoder_decode(slot->decoder, message->lsn, payload, &batch->arena, &change, err))
        return error_wrap(err, "the message at %s", lsn_format(message->lsn).text);
    if (change != NULL && !check_change(slot, message, change, err))
        return false;
    if (change == NULL || own_tables_have_row(change) || is_behind_end(slot, batch, change))
        return true;
    if (change->kind == CHANGE_INSERT && change->is_partial &&
        !row_fetch_complete(&slot->fetch, change, &batch->arena, err))
        return false;
    slot_reader_append(slot, batch, change, payload.size);
    return true;
}

/*
 * Everything before a keepalive's LSN was sent before the keepalive. So this LSN may be confirmed once
 * everything received was handed on. Inside a transaction it has no use.
 */
static bool take_keepalive(struct slot_reader *slot, const struct replication_message *message,
                           struct error *err) {
    const bool in_transaction = decoder_in_transaction(slot->decoder);
    if (message->reply_requested)
        keepalive_note_request(&slot->keepalive, in_transaction ? 0 : message->lsn);
    if (in_transaction)
        return true;
    slot->reader.is_urgent = slot->reader.is_urgent || message->reply_requested;
    const lsn_t lsn = wal_end_note_keepalive(&slot->wal, message->lsn);
    if (lsn == 0)
        return true;
    if (!check_exists(slot, lsn, err))
        return false;
    note_received(slot, lsn);
    if (slot->options.until_lsn != 0 && lsn >= slot->options.until_lsn)
        end_at_until(slot);
    else
        slot->reader.caught_up_lsn = lsn;
    return true;
}

static bool take_message(struct slot_reader *slot, struct batch *batch,
                         const struct replication_message *message, struct error *err) {
    if (message->kind == REPLICATION_KEEPALIVE)
        return take_keepalive(slot, message, err);
    bool is_taken = false;
    note_received(slot, message->lsn);
    return streamed_take(&slot->streamed, message, &is_taken, err) &&
           (is_taken || take_data(slot, batch, message, err));
}

/* A streamed transaction that has committed, until the batch is full. */
static bool take_streamed(struct slot_reader *slot, struct batch *batch, struct error *err) {
    while (streamed_is_replaying(&slot->streamed) && !batch_is_full(batch) &&
           !reader_has_ended(&slot->reader)) {
        struct replication_message message;
        if (!streamed_next(&slot->streamed, &message, err) || !take_data(slot, batch, &message, err))
            return false;
        slot->turn_bytes += message.payload.size; /* the server is not silent: we do not listen */
    }
    return true;
}

static struct replication_options replication_from(const struct slot_reader *slot, lsn_t start_lsn) {
    const struct source_config *source = &slot->reader.config->source;
    return (struct replication_options){.slot = slot->options.slot,
                                        .publications = source->publications,
                                        .publication_count = source->publication_count,
                                        .origin_is_none = source->origin_is_none,
                                        .start_lsn = start_lsn,
                                        .binary = slot->reader.is_binary,
                                        .messages = slot->options.messages || slot->told.is_on ||
                                                    slot->reader.config->signals,
                                        .streams = slot->options.spool_directory != NULL};
}

/*
 * The server has sent the definition of the row's table if that was due, and nothing since. Otherwise the
 * transaction is sent again.
 */
static void name_failed_table(const struct slot_reader *slot, struct error *err) {
    char names[TABLE_NAMES_MAX];
    const struct relation *relation = decoder_announced(slot->decoder);
    const struct replication_options again = replication_from(slot, slot->whole_lsn);
    if (relation != NULL)
        error_wrap(err, "table \"%s\".\"%s\"", relation->schema.data, relation->name.data);
    else if (failed_table_find(slot->options.session, &again, slot->reader.stop, names, sizeof names))
        error_wrap(err, "%s", names);
}

/* The server failed on a row that it cannot send. */
static bool fail_in_transaction(const struct slot_reader *slot, struct error *err) {
    if (!decoder_in_transaction(slot->decoder) || err->kind == ERROR_RETRY)
        return false;
    if (err->kind == ERROR_DATA)
        name_failed_table(slot, err);
    return error_wrap(err, "the transaction that commits at %s", lsn_format(slot->commit_lsn).text);
}

/* The next attempt reads without streaming. */
static bool fail_to_receive(const struct slot_reader *slot, struct error *err) {
    if (slot->options.spool_directory == NULL || !replication_lost_table(err))
        return fail_in_transaction(slot, err);
    *slot->options.streams_fail = true;
    err->kind = ERROR_RETRY;
    return error_remedy(err,
                        "the server cannot decode a transaction before its commit, so from here on it is "
                        "read as with source.streaming: off, until the next start");
}

/* Takes messages from libpq until it has none, the batch is full or the end is reached. */
static bool take_messages(struct slot_reader *slot, struct batch *batch, bool *ret_drained,
                          struct error *err) {
    *ret_drained = false;
    while (!batch_is_full(batch) && !reader_has_ended(&slot->reader) &&
           !spool_is_full(&slot->streamed.spool)) {
        bool got = false;
        if (streamed_is_replaying(&slot->streamed)) {
            if (!take_streamed(slot, batch, err))
                return false;
            continue;
        }
        struct replication_message message;
        if (!replication_receive(slot->options.session, &message, &got, err))
            return fail_to_receive(slot, err);
        *ret_drained = !got;
        if (!got)
            return true;
        slot->turn_bytes += message.payload.size + MESSAGE_OVERHEAD_BYTES;
        stuck_reports_note_taken(&slot->stuck, message.payload.size + MESSAGE_OVERHEAD_BYTES);
        bool taken = take_message(slot, batch, &message, err);
        replication_message_release(&message);
        if (!taken)
            return false;
    }
    return true;
}

/* Reads the socket until it is empty. */
static bool drain_socket(struct slot_reader *slot, struct batch *batch, bool *ret_drained,
                         struct error *err) {
    size_t before = SIZE_MAX;
    if (!take_messages(slot, batch, ret_drained, err))
        return false;
    while (*ret_drained && slot->turn_bytes != before) {
        before = slot->turn_bytes;
        if (PQconsumeInput(slot->options.session->conn) == 0)
            return session_error(slot->options.session, NULL, err);
        if (!take_messages(slot, batch, ret_drained, err))
            return false;
    }
    return true;
}

static bool refuse_missing_publication(const struct slot_reader *slot, struct error *err) {
    error_set(err, ERROR_REFUSE,
              "source: publication %s does not exist for a part of the WAL: it was created after the slot or "
              "dropped since",
              slot->reader.config->source.publication);
    return error_remedy(err, START_OVER);
}

/* The server waits, as for a slow sink. */
static bool wait_for_disk(struct slot_reader *slot, struct error *err) {
    struct spool *spool = &slot->streamed.spool;
    const bool waited = slot->waits_for_disk;
    if (spool_is_full(spool) && !spool_retry(spool, err))
        return false;
    slot->waits_for_disk = spool_is_full(spool);
    if (slot->waits_for_disk && !waited)
        log_line(
            LOG_SPOOL_FULL,
            "the spool of open transactions in %s: no space left on the disk; nothing is read until there is "
            "room",
            spool->directory);
    else if (waited && !slot->waits_for_disk)
        log_line(LOG_SPOOL_HAS_ROOM, "the spool of open transactions in %s has room again", spool->directory);
    return true;
}

bool slot_reader_read(struct reader *reader, struct batch *batch, bool *ret_drained, struct error *err) {
    struct slot_reader *slot = slot_of(reader);
    *ret_drained = true;
    if (!wait_for_disk(slot, err))
        return false;
    if (slot->waits_for_disk)
        return true;
    if (slot->turn_bytes == 0) {
        slot->rests = socket_fill_rests(&slot->fill, clock_now_ms());
        if (slot->rests)
            return true;
        if ((reader->revents & POLLIN) != 0)
            keepalive_note_readable(&slot->keepalive);
    }
    if (!drain_socket(slot, batch, ret_drained, err))
        return false;
    reader->in_transaction = decoder_in_transaction(slot->decoder) && !reader_has_ended(reader);
    return slot->publication_missing ? refuse_missing_publication(slot, err) : true;
}

/* ---- the server ---- */

/* Everything that was received before a standby's answer was replayed on the timeline in that answer. */
bool slot_reader_check_history(struct reader *reader, struct error *err) {
    struct slot_reader *slot = slot_of(reader);
    return slot->options.standby == NULL ||
           standby_check_timeline(slot->options.standby, slot->options.timeline, err);
}

/* Records what this turn has read. */
static void note_reading(struct slot_reader *slot, const struct reader_tending *tending) {
    if (slot->turn_bytes > 0 || tending->is_blocked)
        keepalive_note_heard(&slot->keepalive, tending->now_ms);
    else if ((slot->reader.revents & POLLIN) != 0)
        keepalive_note_partial(&slot->keepalive);
    const struct socket_reading reading = {.bytes = slot->turn_bytes,
                                           .blocked = tending->is_blocked,
                                           .behind = reader_is_behind(&slot->reader),
                                           .wanted = tending->is_wanted,
                                           .in_transaction = decoder_in_transaction(slot->decoder),
                                           .now_ms = tending->now_ms};
    socket_fill_note(&slot->fill, &reading);
    slot->reader.is_flowing = slot->fill.fills;
}

static struct keepalive_report report_of(const struct slot_reader *slot, lsn_t durable_lsn, int64_t now_ms) {
    return (struct keepalive_report){
        .received_lsn = atomic_load_explicit(&slot->reader.received_lsn, memory_order_relaxed),
        .durable_lsn = durable_lsn,
        .now_ms = now_ms,
        .is_prompt = slot->options.until_lsn != 0,
        .wants_message = wal_end_wants_keepalive(&slot->wal) && !reader_has_ended(&slot->reader)};
}

static bool set_wait(struct slot_reader *slot, const struct reader_tending *tending,
                     const struct keepalive_report *report, struct reader_wait *ret_wait, struct error *err) {
    const int left = PQflush(slot->options.session->conn);
    if (left < 0)
        return session_error(slot->options.session, NULL, err);
    *ret_wait = (struct reader_wait){.fd = PQsocket(slot->options.session->conn)};
    if (tending->is_blocked) {
        ret_wait->timeout_ms = BLOCKED_WAIT_MS;
    } else {
        ret_wait->events = socket_fill_events(&slot->fill, tending->now_ms);
        ret_wait->timeout_ms = socket_fill_is_set(&slot->fill)
                                   ? socket_fill_wait_ms(&slot->fill, tending->now_ms)
                                   : keepalive_wait_ms(&slot->keepalive, report);
    }
    if (left > 0)
        ret_wait->events |= POLLOUT;
    return true;
}

bool slot_reader_tend(struct reader *reader, const struct reader_tending *told, struct reader_wait *ret_wait,
                      struct error *err) {
    struct slot_reader *slot = slot_of(reader);
    struct reader_tending own = *told;
    const struct reader_tending *tending = &own;
    own.is_blocked = own.is_blocked || slot->waits_for_disk;
    struct keepalive_report report = report_of(slot, tending->durable_lsn, tending->now_ms);
    report.is_prompt |= tending->is_prompt;
    if (tending->is_blocked && (reader->revents & (POLLERR | POLLHUP)) != 0)
        return error_set(err, ERROR_RETRY, "source: the connection was lost");
    if (reader_has_ended(reader))
        keepalive_note_heard(&slot->keepalive, tending->now_ms);
    else if (!slot->rests)
        note_reading(slot, tending);
    slot->rests = false;
    slot->turn_bytes = 0;
    if (tending->is_blocked && !stuck_reports_tend(&slot->stuck, slot->options.session, tending->now_ms, err))
        return false;
    return keepalive_tend(&slot->keepalive, &report, err) && set_wait(slot, tending, &report, ret_wait, err);
}

/* ---- start and end ---- */

/*
 * Since 18 the server skips a publication that is missing for a part of the WAL with only a warning, and its
 * changes are lost. The warning is identified by its code and the server's function, since its text is in the
 * server's language. settings.c makes sure that it is sent.
 */
static void take_notice(void *argument, const PGresult *result) {
    struct slot_reader *slot = argument;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *place = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    if (sqlstate != NULL && place != NULL && strcmp(sqlstate, "55000") == 0 &&
        strcmp(place, "LoadPublications") == 0)
        slot->publication_missing = true;
}

static bool has_followers(const struct config *config) {
    for (size_t i = 0; i < config->sink_count; i++)
        if (sink_asks_columns(config->sinks[i].ops, &config->sinks[i].sink))
            return true;
    return false;
}

static bool slot_reader_init(struct slot_reader *slot, const struct slot_reader_options *options,
                             struct error *err) {
    struct reader reader = slot->reader;
    const struct source_config *source = &reader.config->source;
    *slot = (struct slot_reader){
        .options = *options,
        .announced = {.source = source, .sent = options->sent, .stop = reader.stop},
        .fetch = {.source = source, .stop = reader.stop, .binary = reader.is_binary},
        .whole_lsn = options->start_lsn,
        .decoder = decoder_new(),
    };
    slot->reader = reader;
    if (slot->decoder == NULL)
        return error_no_memory(err);
    if (!streamed_init(&slot->streamed, options->spool_directory, err))
        return false;
    wal_end_init(&slot->wal, options->start_lsn, options->flush_lsn);
    const bool follows = has_followers(reader.config);
    told_columns_init(&slot->told, options->has_triggers && follows);
    key_lookup_init(&slot->keys, source, options->slot, reader.stop, options->session->server_version,
                    follows ? &slot->told : NULL);
    return true;
}

bool slot_reader_start(struct slot_reader *slot, const struct slot_reader_options *options,
                       struct error *err) {
    if (!slot_reader_init(slot, options, err))
        return false;
    PQsetNoticeReceiver(options->session->conn, take_notice, slot);
    const struct replication_options replication = replication_from(slot, options->start_lsn);
    if (!replication_start(options->session, &replication, err))
        return false;
    socket_fill_init(&slot->fill, PQsocket(options->session->conn));
    keepalive_init(&slot->keepalive, options->session, options->sender_timeout_ms);
    /*
     * From here the feed's loop looks for orders. The last messages must be sent after the program was told
     * to stop.
     */
    options->session->stop = NULL;
    return true;
}

bool slot_reader_finish(struct reader *reader, lsn_t durable_lsn, struct error *err) {
    struct slot_reader *slot = slot_of(reader);
    const struct keepalive_report report = report_of(slot, durable_lsn, clock_now_ms());
    socket_fill_end(&slot->fill); /* the server's last messages are short, and must wake us */
    FAULT_POINT("stream-before-last-status");
    return keepalive_send(&slot->keepalive, &report, false, err) &&
           replication_end(slot->options.session, END_TIMEOUT_MS, err);
}

void slot_reader_close(struct reader *reader) {
    struct slot_reader *slot = slot_of(reader);
    row_fetch_release(&slot->fetch);
    streamed_release(&slot->streamed);
    decoder_free(slot->decoder);
    slot->decoder = NULL;
    key_lookup_release(&slot->keys);
    told_columns_release(&slot->told);
}
