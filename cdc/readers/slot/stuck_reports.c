/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stuck_reports.c - see stuck_reports.h.
 */
#include "cdc/readers/slot/stuck_reports.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "cdc/base/log.h"

enum {
    STUCK_MS = 1000,                    /* an acknowledgement takes less, also from a distant server */
    TAKE_BYTES = 256 * 1024,            /* enough for the kernel to open the window again */
    CALL_BYTES = 16 * 1024,             /* libpq reads at least so much of a full socket at once */
    AHEAD_MAX_BYTES = 16 * 1024 * 1024, /* of libpq's memory */
};

static int readable_bytes(const struct session *session) {
    int bytes = 0;
    return ioctl(PQsocket(session->conn), FIONREAD, &bytes) == 0 ? bytes : 0;
}

static bool has_unacknowledged(const struct session *session) {
    int bytes = 0;
    return ioctl(PQsocket(session->conn), SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* The server goes on sending, so what a call has read can only be estimated. */
static size_t read_bytes(int before, int after) {
    return before - after > CALL_BYTES ? (size_t) (before - after) : CALL_BYTES;
}

static bool take_some(struct stuck_reports *stuck, struct session *session, struct error *err) {
    size_t taken_bytes = 0;
    int before = readable_bytes(session);
    while (before > 0 && taken_bytes < TAKE_BYTES) {
        if (PQconsumeInput(session->conn) == 0)
            return session_error(session, NULL, err);
        const int after = readable_bytes(session);
        taken_bytes += read_bytes(before, after);
        before = after;
    }
    stuck->ahead_bytes += taken_bytes;
    if (taken_bytes > 0)
        log_line(LOG_READ_AHEAD, "the source has acknowledged no report for %d s: read %zu bytes ahead",
                 STUCK_MS / 1000, taken_bytes);
    return true;
}

bool stuck_reports_tend(struct stuck_reports *stuck, struct session *session, int64_t now_ms,
                        struct error *err) {
    if (!has_unacknowledged(session)) {
        stuck->since_ms = 0;
        return true;
    }
    if (stuck->since_ms == 0)
        stuck->since_ms = now_ms;
    if (now_ms - stuck->since_ms < STUCK_MS || stuck->ahead_bytes >= AHEAD_MAX_BYTES)
        return true;
    stuck->since_ms = now_ms;
    return take_some(stuck, session, err);
}
