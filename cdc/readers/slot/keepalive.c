/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keepalive.c - when to report, when to ask, when to give up.
 */
#include "cdc/readers/slot/keepalive.h"

#include <assert.h>
#include <sys/ioctl.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/pq/lock_wait.h"
#include "cdc/readers/slot/replication.h"

enum {
    /* also without wal_sender_timeout, to keep the server's monitoring views fresh */
    INTERVAL_MAX_MS = 10000,
    CONFIRM_INTERVAL_MS = 100,   /* a new confirmation waits at most this long for its report */
    REPORT_INTERVAL_MIN_MS = 5,  /* a server that shuts down asks again after each answer */
    SHUTDOWN_WAIT_MAX_MS = 5000, /* ... and waits for us at most this long */
    SILENCE_ASK_MS = 12000,      /* a server that is silent this long is asked for a sign of life */
    SILENCE_MAX_MS = 25000,      /* ... and after this long the connection is dead, unless it is at work */
    PROGRESS_BYTES = 65536,      /* an incomplete message makes progress when it grows by this much */
};

void keepalive_init(struct keepalive *keepalive, struct session *session, int sender_timeout_ms) {
    int third_ms = sender_timeout_ms / 3;
    *keepalive = (struct keepalive){
        .session = session,
        .interval_ms = third_ms > 0 && third_ms < INTERVAL_MAX_MS ? third_ms : INTERVAL_MAX_MS,
        .is_due = true,
        .heard_ms = clock_now_ms(),
    };
}

void keepalive_note_request(struct keepalive *keepalive, lsn_t lsn) {
    keepalive->is_due = true;
    if (lsn == 0)
        return;
    if (keepalive->asked_lsn == 0)
        keepalive->asked_since_ms = clock_now_ms();
    keepalive->asked_lsn = lsn;
}

void keepalive_note_heard(struct keepalive *keepalive, int64_t now_ms) {
    keepalive->is_partial = false;
    keepalive->partial_bytes = 0;
    keepalive->silent_ms = 0;
    keepalive->heard_ms = now_ms;
    keepalive->has_asked = false;
}

/*
 * Bytes that arrive now belong to an incomplete message. A large message arrives in many parts. A message
 * whose length is damaged swallows the few bytes that an idle server sends, and so hides its answers.
 */
void keepalive_note_readable(struct keepalive *keepalive) {
    int size = 0;
    if (!keepalive->is_partial)
        return;
    if (ioctl(PQsocket(keepalive->session->conn), FIONREAD, &size) == 0 && size > 0)
        keepalive->partial_bytes += (size_t) size;
    if (keepalive->partial_bytes < PROGRESS_BYTES)
        return;
    keepalive->partial_bytes = 0;
    keepalive->heard_ms = clock_now_ms();
    keepalive->has_asked = false;
}

void keepalive_note_partial(struct keepalive *keepalive) {
    keepalive->is_partial = true;
}

bool keepalive_send(struct keepalive *keepalive, const struct keepalive_report *report, bool ask_reply,
                    struct error *err) {
    bool sent = false;
    assert(report->durable_lsn >= keepalive->durable_sent_lsn);
    const lsn_t received_lsn =
        report->received_lsn > report->durable_lsn ? report->received_lsn : report->durable_lsn;
    if (!replication_send_status(keepalive->session, received_lsn, report->durable_lsn, ask_reply, &sent,
                                 err))
        return false;
    if (sent && report->durable_lsn > keepalive->durable_sent_lsn)
        log_line(LOG_POSITION_REPORTED, "reported to the source: received %s, durable in every sink %s",
                 lsn_format(received_lsn).text, lsn_format(report->durable_lsn).text);
    if (sent) {
        keepalive->durable_sent_lsn = report->durable_lsn;
        keepalive->sent_ms = clock_now_ms();
        keepalive->is_due = false;
        keepalive->has_asked = keepalive->has_asked || ask_reply;
    }
    return true;
}

/*
 * A server that shuts down asks for the confirmation of everything, and waits for it without a limit. While a
 * sink is stuck we cannot confirm. Closing the connection lets the server stop, and costs only a new start.
 */
static bool let_server_go(struct keepalive *keepalive, const struct keepalive_report *report,
                          struct error *err) {
    if (keepalive->asked_lsn == 0)
        return true;
    if (report->durable_lsn >= keepalive->asked_lsn) {
        keepalive->asked_lsn = 0;
        return true;
    }
    if (report->now_ms - keepalive->asked_since_ms < SHUTDOWN_WAIT_MAX_MS)
        return true;
    return error_set(err, ERROR_RETRY,
                     "source: the server waits for the confirmation of %s, which is not durable in every "
                     "sink yet; it may be "
                     "shutting down",
                     lsn_format(keepalive->asked_lsn).text);
}

/*
 * A keepalive's position counts once it was sent twice, and a server that is not asked may be silent for
 * long.
 */
static int64_t ask_interval_ms(const struct keepalive_report *report) {
    return report->is_prompt ? REPORT_INTERVAL_MIN_MS : CONFIRM_INTERVAL_MS;
}

/*
 * A server that builds one large message, or evaluates a row filter, neither sends nor answers: a row of 1 GB
 * can take minutes. It is asked again after the same time.
 */
static bool is_at_work(struct keepalive *keepalive) {
    if (!lock_wait_sender_works(keepalive->session))
        return false;
    keepalive->silent_ms += SILENCE_MAX_MS;
    log_line(
        LOG_SOURCE_SILENT,
        "source: the server has sent nothing for %lld s, and its process is at work: a large row takes long",
        (long long) keepalive->silent_ms / 1000);
    keepalive->heard_ms = clock_now_ms();
    keepalive->has_asked = false;
    return true;
}

static bool check_silence(struct keepalive *keepalive, int64_t now_ms, struct error *err) {
    if (now_ms - keepalive->heard_ms <= SILENCE_MAX_MS || !keepalive->has_asked)
        return true;
    if (!keepalive->is_partial && is_at_work(keepalive))
        return true;
    if (keepalive->is_partial)
        return error_set(err, ERROR_RETRY,
                         "source: a message from the server made no progress for "
                         "%d s: its length may be damaged",
                         SILENCE_MAX_MS / 1000);
    return error_set(err, ERROR_RETRY, "source: the server sent nothing for %d s", SILENCE_MAX_MS / 1000);
}

bool keepalive_tend(struct keepalive *keepalive, const struct keepalive_report *report, struct error *err) {
    const int64_t since_ms = report->now_ms - keepalive->sent_ms;
    const bool confirms = report->durable_lsn > keepalive->durable_sent_lsn;
    const bool is_silent = report->now_ms - keepalive->heard_ms > SILENCE_ASK_MS;
    const bool asks = report->wants_message && since_ms >= ask_interval_ms(report);
    if (!check_silence(keepalive, report->now_ms, err) || !let_server_go(keepalive, report, err))
        return false;
    if ((keepalive->is_due && since_ms >= REPORT_INTERVAL_MIN_MS) || since_ms >= keepalive->interval_ms ||
        (confirms && since_ms >= CONFIRM_INTERVAL_MS) || asks || (is_silent && !keepalive->has_asked))
        return keepalive_send(keepalive, report, is_silent || asks, err);
    return true;
}

int keepalive_wait_ms(const struct keepalive *keepalive, const struct keepalive_report *report) {
    if (keepalive->is_due)
        return REPORT_INTERVAL_MIN_MS;
    int64_t wait_ms = keepalive->interval_ms - (report->now_ms - keepalive->sent_ms);
    if (report->durable_lsn > keepalive->durable_sent_lsn && wait_ms > CONFIRM_INTERVAL_MS)
        wait_ms = CONFIRM_INTERVAL_MS;
    if (report->wants_message && wait_ms > ask_interval_ms(report))
        wait_ms = ask_interval_ms(report);
    return wait_ms > 1 ? (int) wait_ms : 1;
}
