/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.h - requests that come with the changes: transactional messages of the source with prefix pgcdc.
 *
 * A message has the text of request.h. Each runner obeys it where it stands among its changes, so a pause
 * holds right after the message's transaction. After a restart a sink that does not have that transaction
 * reads the message again. A pause and a resume were stored with its LSN and are not repeated; a reload and a
 * level of the log are, which changes nothing.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/engine/pause.h"
#include "cdc/readers/batch.h"

/*
 * The runner of the sink that pause is of. What is malformed, or cannot be done, is logged once and left.
 * ERROR_RETRY: the state directory cannot be written.
 */
MUST_CHECK bool signals_obey(struct pause *pause, const struct batch_signal *signal, struct error *err);
