/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standby.h - a source that is a hot standby.
 *
 * A position is stored with the timeline that it is on, and a start refuses one that lies behind the point
 * where the source's history left that timeline. A primary keeps its timeline as long as it runs. A standby
 * is promoted, or follows a primary that was, while its walsender goes on: so before a position may be
 * stored, the standby is asked for its timeline. What was received before it answered was replayed on that
 * timeline.
 */
#pragma once

#include "cdc/source/source.h"

struct standby {
    struct session replication; /* closed: the source is a primary, and nothing is asked */
};

/* Logical decoding on a standby exists since 16: ERROR_CONFIG for an older one. Any session. */
MUST_CHECK bool standby_check_version(const struct session *source, struct error *err);

/* Connects when the source is a standby. */
MUST_CHECK bool standby_open(struct standby *standby, const struct source_config *config,
                             const struct source_identity *identity, const atomic_bool *stop,
                             struct error *err);

/* ERROR_RETRY when it is on another timeline by now. */
MUST_CHECK bool standby_check_timeline(struct standby *standby, uint32_t timeline, struct error *err);

/* Accepts a zeroed or closed one. */
void standby_close(struct standby *standby);
