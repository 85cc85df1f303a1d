/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - everything that is known at one moment; metrics and health are made from it and from nothing else.
 */
#pragma once

#include "cdc/engine/pause.h"
#include "cdc/http/probe.h"

struct view {
    const struct config *config;
    int64_t now_ms;  /* clock_now_ms() */
    int64_t unix_us; /* clock_unix_us() */
    struct live *lives;
    struct live_facts *parts;   /* one for each part; see lag.h */
    struct copy_tables *copied; /* likewise */
    size_t part_count;
    struct source_probe_facts source;
    struct sink_probe_facts *sinks;                  /* one for each sink of the configuration */
    int64_t stalled_ms;                              /* http.stalled_after, as it is now */
    struct pause_facts paused[CHECKPOINT_SINKS_MAX]; /* one for each sink of the configuration */
    struct pauses *pauses;                           /* NULL: sinks cannot be paused */
    const atomic_llong *stalled_now_ms;              /* NULL: the configuration's */
    bool has_started;                                /* /startupz has said yes */
};

/*
 * pauses and stalled_now_ms are set before. Its memory is allocated once, for all requests. False: none.
 * view_release accepts what is zeroed.
 */
MUST_CHECK bool view_init(struct view *view, const struct config *config, struct live *lives,
                          size_t live_count, struct error *err);
void view_release(struct view *view);

void view_take(struct view *view, struct probes *probes);

/* The end of the source's WAL as it is known best; 0: not known. */
lsn_t view_end_lsn(const struct view *view);

/* Has the sink everything that the source is known to have? */
bool view_is_caught_up(const struct view *view, size_t sink);

uint64_t view_lag_bytes(const struct view *view, size_t sink);

/* The sink's rates and counts, of its part; and its counts by table, whose atomics go on. */
const struct activity_sink *view_activity(const struct view *view, size_t sink);
struct table_counts *view_counts(const struct view *view, size_t sink);

/* Rows that a rule of the mapping has left out are no changes; those of a copy are. */
uint64_t view_rows(const struct view *view, size_t sink);

/* The part that copies rows now; NULL: none. */
const struct live_facts *view_copying(const struct view *view);

/* An upper bound: the sink has everything that was committed so long ago. -1: not known. */
int64_t view_lag_ms(const struct view *view, size_t sink);
