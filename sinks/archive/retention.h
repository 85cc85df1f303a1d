/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.h - which old segments of an archive are deleted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"

/* What is kept; 0: that limit is not set. */
struct retention {
    uint64_t bytes_max;    /* of all segments */
    int64_t age_ms_max;    /* since a segment was closed */
    uint64_t segments_max; /* files */
};

static inline bool retention_is_set(const struct retention *retention) {
    return retention->bytes_max != 0 || retention->age_ms_max != 0 || retention->segments_max != 0;
}

/*
 * Deletes segments from the oldest on while a limit is exceeded: never the last one, and none that a follower
 * (cdc/archive/follower.h) has not passed. A kill leaves a shorter archive without a gap.
 */
MUST_CHECK bool retention_apply(const char *directory, const struct retention *retention, struct error *err);

/* ERROR_RETRY when all segments together have bytes_max or more: names the follower that needs the most. */
MUST_CHECK bool retention_check_room(const char *directory, uint64_t bytes_max, struct error *err);
