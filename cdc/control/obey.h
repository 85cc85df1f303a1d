/* SPDX-License-Identifier: Apache-2.0 */
/*
 * obey.h - does what a request asks, and says how it went.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"
#include "cdc/control/console.h"

/*
 * Appends one line of JSON: {"ok": true, "words": …, "paused": [{sink, since, by, held, at}…]}, or
 * {"ok": false, "error": …, "remedy": …}. by: who asks, as a pause will show it.
 */
void console_obey(struct console *console, struct slice text, const char *by, struct buffer *answer);

/* A reload, whose result is logged: SIGHUP, or a message in the WAL. */
void console_obey_reload(struct console *console, const char *by);
