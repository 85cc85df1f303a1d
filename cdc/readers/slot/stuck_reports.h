/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stuck_reports.h - frees reports that the kernel cannot deliver while nothing is read.
 *
 * While no batch is free the socket is not read, and the server's bytes fill the kernel's receive buffer.
 * Small messages need many times their size there. Since Linux 6.6 the window that the kernel offers does not
 * count that, so the buffer can be full before the window closes. Then the kernel drops each segment from
 * the server, also the acknowledgements of our reports. Reports after that stay in our send buffer, and the
 * server ends the connection after its wal_sender_timeout.
 *
 * Reading a part of the socket frees the connection. What is read waits in libpq's memory. That is bounded:
 * a server that stays stuck longer ends the connection, and the pipeline opens a new one.
 *
 * Used by the feed's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/pq/session.h"

/* Starts zeroed. */
struct stuck_reports {
    int64_t since_ms;   /* the peer has acknowledged no byte that we sent since then; 0: it has all */
    size_t ahead_bytes; /* read from the socket by this, and not taken from libpq yet */
};

/* A message of this size on the wire was taken from libpq. */
static inline void stuck_reports_note_taken(struct stuck_reports *stuck, size_t bytes) {
    stuck->ahead_bytes -= bytes < stuck->ahead_bytes ? bytes : stuck->ahead_bytes;
}

/* At each turn in which the socket is not read. ERROR_RETRY: the connection is lost. */
MUST_CHECK bool stuck_reports_tend(struct stuck_reports *stuck, struct session *session, int64_t now_ms,
                                   struct error *err);
