/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover.h - the switch of the applications from one side to the other, and back.
 *
 *     READY -> FENCED -> DRAINED -> SEQUENCES -> VERIFIED -> REVERSE_READY -> SEALED -> FLIPPED -> CLOSED
 *
 * Each state is a row of pgcdc.migration (cdc/migrate/steps). Until SEALED everything can be undone, and a
 * process that was killed leaves a fence of locks no longer than the server needs to notice. So a
 * second call undoes what the first one left, and begins again. From SEALED on the side that is left takes no
 * write any more, also without a process, and a second call goes on.
 *
 * A rollback is the same machine on the stream back: where a cutover has the source, it has the target.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/config/config.h"

enum cutover_state {
    CUTOVER_READY,
    CUTOVER_FENCED,
    CUTOVER_DRAINED,
    CUTOVER_SEQUENCES,
    CUTOVER_VERIFIED,
    CUTOVER_REVERSE_READY,
    CUTOVER_SEALED,
    CUTOVER_FLIPPED,
};
enum { CUTOVER_STATES = CUTOVER_FLIPPED + 1 };

/* As in pgcdc.migration: "ready", … */
const char *cutover_state_name(enum cutover_state state);

struct cutover_options {
    bool is_rollback;
    bool dry_run;   /* looks, measures, changes nothing */
    bool is_fenced; /* the operator says so, with cutover.fence: external */
    const atomic_bool *stop;
};

/* What happened in a state. */
struct cutover_line {
    bool is_reached;
    int64_t duration_ms;
    char text[256];
};

struct cutover_report {
    struct cutover_line lines[CUTOVER_STATES];
    bool is_flipped;
    int64_t outage_ms; /* from the first write that was blocked to the end of the hook; -1: not known */
};

/*
 * False: it went back, and the side that was to be left takes writes again, unless *err says otherwise. The
 * report is filled as far as it came.
 */
MUST_CHECK bool cutover_run(const struct config *config, const struct cutover_options *options,
                            struct cutover_report *ret_report, struct error *err);

/* Undoes what an interrupted one left before it flipped. *ret_undone: there was something. */
MUST_CHECK bool cutover_abort(const struct config *config, const struct cutover_options *options,
                              bool *ret_undone, struct error *err);

/* After the flip: gives the way back up, and removes slots, publications, positions and files. */
MUST_CHECK bool cutover_close(const struct config *config, const struct cutover_options *options,
                              struct error *err);

/*
 * May `run` apply changes in this direction now? Otherwise both sides could be written to: ERROR_REFUSE. A
 * target that cannot be asked is no reason. config: forward, or reversed (config_reverse).
 */
MUST_CHECK bool cutover_guard(const struct config *config, const atomic_bool *stop, struct error *err);
