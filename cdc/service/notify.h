/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - the protocol of systemd's sd_notify: a datagram of lines KEY=VALUE to a Unix socket.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"

struct notify {
    int fd; /* -1: closed */
};

/* path: of NOTIFY_SOCKET; one that begins with @ is abstract. */
MUST_CHECK bool notify_open(struct notify *notify, const char *path, struct error *err);

/* Never waits: a receiver that does not read loses the message, and the call is false. */
MUST_CHECK bool notify_send(const struct notify *notify, const char *message, struct error *err);

/* Accepts a closed one. */
void notify_close(struct notify *notify);
