/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal_message.h - a message of pg_logical_emit_message with prefix pgcdc: a request to the engine.
 */
#pragma once

#include "cdc/base/slice.h"
#include "cdc/readers/batch.h"

/*
 * commit_lsn: of the transaction that is being read; 0: none. False: the payload is another message. The text
 * is a part of the payload.
 */
bool signal_message_read(struct slice payload, lsn_t commit_lsn, struct batch_signal *ret_signal);
