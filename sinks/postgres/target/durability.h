/* SPDX-License-Identifier: Apache-2.0 */
/*
 * durability.h - commits that are visible before they are on disk, and how far the disk is.
 *
 * A commit that waits for the disk delays its readers by as much, and a disk that stalls delays everything.
 * So a group is committed with synchronous_commit = off: its rows and its position are visible at once, and
 * a crash of the server loses both or neither. The position is reported as durable only when the server's
 * WAL is on disk up to where it ended right after that commit.
 *
 * Where commits wait for standbys (synchronous_standby_names), this server's disk alone does not make them
 * durable, so every commit waits.
 */
#pragma once

#include "cdc/base/position.h"
#include "cdc/pq/session.h"
#include "sinks/sink.h"

struct durability {
    bool waits;                /* visible: durable: every commit is on disk before it is visible */
    bool is_early;             /* commits may be early */
    struct position committed; /* the last one */
    struct position asked;     /* the last one when the end of the WAL was asked for */
    lsn_t asked_lsn;           /* ... and that end, in the target's WAL; 0: not asked yet */
    struct position settled;   /* on disk */
};

/*
 * For a new session. Sets synchronous_commit where it is off, so that every commit that is not early is
 * durable when its COMMIT has answered. waits: no commit is early.
 */
MUST_CHECK bool durability_open(struct durability *durability, struct session *session, bool waits,
                                struct error *err);

/* The option `visible`: *ret_waits for durable. */
MUST_CHECK bool durability_read_option(const struct sink_config *config, bool *ret_waits, struct error *err);

/* An expression: a transaction that selects it does not wait for the disk at its commit. */
#define COMMITS_EARLY "pg_catalog.set_config('synchronous_commit', 'off', true)"

/* Called after a COMMIT that did not wait for the disk, and after one that did. */
void durability_note_early(struct durability *durability, const struct position *position);
void durability_note_waited(struct durability *durability, const struct position *position);

/* How far the commits are on disk. Asks the server when this may have changed. */
MUST_CHECK bool durability_ask(struct durability *durability, struct session *session,
                               struct position *ret_position, struct error *err);
