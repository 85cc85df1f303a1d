/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standby.h - a source that is a hot standby.
 *
 * A position is stored with its timeline, and a start refuses a position after the point where the source's
 * history left that timeline. A primary stays on its timeline while it runs. A standby may be promoted, or
 * follow a primary that was promoted, while its walsender keeps streaming. So before a position is stored,
 * the standby is asked for its timeline: data received before the answer was replayed on that timeline.
 */
#pragma once

#include "cdc/source/source.h"

struct standby {
    struct session replication; /* closed: the source is a primary, and no query is sent */
};

/* Logical decoding on a standby requires 16: ERROR_CONFIG for an older one. Any session. */
MUST_CHECK bool standby_check_version(const struct session *source, struct error *err);

/* Connects only if the source is a standby. */
MUST_CHECK bool standby_open(struct standby *standby, const struct source_config *config,
                             const struct source_identity *identity, const atomic_bool *stop,
                             struct error *err);

/* ERROR_RETRY when the timeline has changed. */
MUST_CHECK bool standby_check_timeline(struct standby *standby, uint32_t timeline, struct error *err);

/* Accepts a zeroed or closed one. */
void standby_close(struct standby *standby);
