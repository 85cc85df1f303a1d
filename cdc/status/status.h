/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - where a pipeline stands: source, slot, checkpoint and each sink, seen from outside.
 *
 * Reads and changes nothing; an engine may run meanwhile or not. What cannot be reached is said, and the rest
 * is shown.
 */
#pragma once

#include <sys/types.h>

#include "cdc/config/config.h"
#include "cdc/engine/activity.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/failure.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"

enum pipeline_state {
    STATE_NEW,       /* nothing exists yet that it could lose */
    STATE_COPYING,   /* the initial copy runs, or was interrupted */
    STATE_STREAMING, /* somebody reads the slot */
    STATE_STOPPED,   /* nobody does; a start goes on where it was */
    STATE_LOST,      /* the slot lost WAL that is needed */
    STATE_MISSING,   /* there is a position but no slot */
    STATE_REFUSED,   /* a start would be refused for another reason */
    STATE_RETRYING,  /* an engine runs, and its last attempt failed */
    STATE_FAILED,    /* none runs, and the last one ended with an error */
    STATE_UNKNOWN,   /* the source cannot be reached */
};

struct sink_status {
    struct sink_view view; /* from the sink, or from the checkpoint where the sink stores none */
    bool is_from_disk;
    bool is_known;
    struct error error; /* why it is not known */
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
    struct failure failure;   /* the last error, until there is progress again */
    struct checkpoint checkpoint;
    int server_version;
    struct source_identity identity;
    struct slot_facts slot;
    char wal_status[32];
    int64_t safe_wal_bytes; /* that can be written before the slot is lost; -1: no limit, or lost */
    struct sink_status sinks[CHECKPOINT_SINKS_MAX];
};

/* Gathers everything. False only when the state directory cannot be read, or *stop became true. */
MUST_CHECK bool status_read(const struct config *config, const atomic_bool *stop, struct status *ret_status,
                            struct error *err);

/* True when the source and every sink could be asked. */
bool status_is_complete(const struct status *status);

const char *pipeline_state_name(enum pipeline_state state);

/*
 * How late a sink is, in time: at most so long ago it had all that was committed until then. 0 when it has
 * the source's whole WAL, -1 when that is not known: no engine has told since it last moved.
 */
int64_t status_lag_ms(const struct status *status, size_t sink);

/* How much WAL lies between a position and the end of the source's WAL. */
uint64_t status_lag_bytes(const struct status *status, lsn_t lsn);
