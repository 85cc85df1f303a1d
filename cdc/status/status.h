/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - the state of a pipeline: source, slot, checkpoint and each sink, seen from outside.
 *
 * Changes nothing, whether an engine runs or not. If a server cannot be reached, the status says so and shows
 * the rest.
 */
#pragma once

#include <sys/types.h>

#include "cdc/config/config.h"
#include "cdc/copy/chunk_tally.h"
#include "cdc/engine/activity.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/pause.h"
#include "cdc/engine/verified.h"
#include "cdc/readers/reader.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"

enum pipeline_state {
    STATE_NEW,       /* not started: no slot, no position */
    STATE_COPYING,   /* the initial copy runs, or was interrupted */
    STATE_STREAMING, /* a session streams from the slot */
    STATE_STOPPED,   /* no session does; a start continues from the position */
    STATE_LOST,      /* the slot lost WAL that is needed */
    STATE_MISSING,   /* a position exists, but the slot does not */
    STATE_REFUSED,   /* a start would be refused for another reason */
    STATE_RETRYING,  /* an engine runs, and its last attempt failed */
    STATE_FAILED,    /* none runs, and the last one ended with an error */
    STATE_UNKNOWN,   /* the source cannot be reached */
};

struct sink_status {
    struct sink_view view; /* the sink's, or the checkpoint's if the sink stores none */
    bool is_from_disk;
    bool is_known;
    struct error error;           /* why the position is unknown */
    struct chunk_tally_list copy; /* of the plan that the sink stores; of names, it has those of the plan */
    struct error copy_error;      /* why the plan is unknown */
    struct pause_facts pause;     /* by an operator */
    struct verified verified;     /* by continuous verification */
};

struct status {
    const struct config *config;
    enum pipeline_state state;
    char reason[sizeof(
        struct error_line)];  /* of LOST, MISSING, REFUSED and UNKNOWN, with the remedy; else "" */
    pid_t engine_pid;         /* of the engine that uses the state directory on this machine, or 0 */
    struct activity activity; /* of the engine that runs, or of the last one */
    bool activity_is_current; /* of the one that runs */
    int64_t source_us;        /* the source's clock, since 1970; 0: not known */
    struct error pause_error; /* why it is not known which sinks are paused */
    struct failure failure;   /* the last error, until there is progress again */
    struct checkpoint checkpoint;
    int server_version;
    struct source_identity identity;
    struct reader *reader; /* of an archive, open; else NULL */
    lsn_t first_lsn;       /* of an archive: what ends at or before it is gone */
    struct slot_facts slot;
    char wal_status[32];
    char standby_waits[256]; /* failover_read_waits: the standbys for which the server holds changes back */
    int64_t safe_wal_bytes; /* WAL that can be written before the slot is lost; -1: no limit, or lost */
    struct sink_status sinks[CHECKPOINT_SINKS_MAX];
    struct arena arena; /* of the plans */
};

/*
 * Reads everything. False only if the state directory cannot be read, or *stop became true. Also then,
 * status_release.
 */
MUST_CHECK bool status_read(const struct config *config, const atomic_bool *stop, struct status *ret_status,
                            struct error *err);

void status_release(struct status *status);

/* True if the source and every sink answered. */
bool status_is_complete(const struct status *status);

/* A sink has dead letters: the rest flows, and it differs from the source. */
bool status_is_degraded(const struct status *status);

/* `run` would go on from the positions. */
bool status_can_start(const struct status *status);

const char *pipeline_state_name(enum pipeline_state state);

/*
 * A sink's lag in time: it has everything that was committed until this long ago. 0 if it has the source's
 * whole WAL; -1 if unknown: no engine has recorded the time since the position last advanced.
 */
int64_t status_lag_ms(const struct status *status, size_t sink);

/* The bytes of WAL between a position and the end of the source's WAL. */
uint64_t status_lag_bytes(const struct status *status, lsn_t lsn);
