/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.h - the configuration is read again, and is in force as a whole or not at all.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/control/console.h"

/*
 * Reads and checks the whole file. False: an error of the file, or ERROR_REFUSE that names each key that can
 * only change with a restart, with both values; nothing has changed. *words: what has changed, for people.
 */
MUST_CHECK bool console_reload(struct console *console, struct buffer *words, struct error *err);
