/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_sides.h - source and target, each in a snapshot, the target's taken just after the source's.
 *
 * Every transaction that the source's snapshot sees ends at or before source_lsn, and the target's snapshot
 * is taken as soon as its position has passed source_lsn. So a row that differs was changed in the
 * milliseconds between the two, or is a difference.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "sinks/comparison.h"

struct verify_sides {
    struct session source;
    struct comparison *comparison; /* NULL: not open */
    const struct config *config;
    const struct sink_ops *ops;
    const struct sink_config *sink;
    const atomic_bool *stop;
    char application[64]; /* of the sink's sessions: pgcdc:NAME verify */
    bool is_fed;          /* an engine reads the slot, so the target's position advances */
    lsn_t source_lsn;     /* of the current snapshots or, after unpinning, of the last ones */
    lsn_t target_lsn;     /* 0: the target has no position */
    bool is_standby;      /* the source: the xids of its snapshots say nothing */
    char *snapshot;       /* the text of the source's snapshot; owned */
};

/* rate_bytes: see struct verify_options. Release it in any case. */
MUST_CHECK bool verify_sides_open(struct verify_sides *sides, const struct config *config,
                                  const struct config_sink *sink, uint64_t rate_bytes,
                                  const atomic_bool *stop, struct error *err);
void verify_sides_release(struct verify_sides *sides);

/*
 * Takes the two snapshots. Waits for the target while an engine reads the slot and the position advances. If
 * no engine reads the slot, the target is used as it is.
 */
MUST_CHECK bool verify_sides_pin(struct verify_sides *sides, struct error *err);
/* One side's part of it, for a barrier. */
MUST_CHECK bool verify_sides_pin_source(struct verify_sides *sides, struct error *err);
MUST_CHECK bool verify_sides_pin_target(struct verify_sides *sides, struct error *err);

/* Do both still answer? Outside of snapshots. */
MUST_CHECK bool verify_sides_ping(struct verify_sides *sides, struct error *err);

MUST_CHECK bool verify_sides_unpin(struct verify_sides *sides, struct error *err);
