/* SPDX-License-Identifier: Apache-2.0 */
/*
 * durability.h - commits that can be seen before they are on disk, and how far the disk is.
 *
 * A commit that waits for the disk keeps its rows from readers for as long, and a disk that stalls keeps
 * everything. So a group is committed with synchronous_commit = off: its rows and its position can be seen at
 * once, and a crash of the server loses both or none. Nobody is told of the position before the server's WAL
 * is on disk up to where it stood right after that commit.
 *
 * Where commits wait for standbys (synchronous_standby_names), the disk of this server is not what was
 * promised, and every commit waits.
 */
#pragma once

#include "cdc/base/position.h"
#include "cdc/pq/session.h"
#include "sinks/sink.h"

struct durability {
    bool waits;                /* the operator wants every commit to be on disk before it can be seen */
    bool is_early;             /* commits may be early */
    struct position committed; /* the last one */
    struct position asked;     /* was the last one when it was asked where the WAL ends */
    lsn_t asked_lsn;           /* ... which was here, in the target's WAL; 0: nothing was asked */
    struct position settled;   /* on disk */
};

/*
 * Of a session that is new. A session that would not wait for the disk at all is made to: all that is not
 * committed early is durable when its COMMIT has answered. waits: no commit is early.
 */
MUST_CHECK bool durability_open(struct durability *durability, struct session *session, bool waits,
                                struct error *err);

/* The option `visible`: *ret_waits for durable. */
MUST_CHECK bool durability_read_option(const struct sink_config *config, bool *ret_waits, struct error *err);

/* An expression: the transaction that selects it does not wait for the disk when it commits. */
#define COMMITS_EARLY "pg_catalog.set_config('synchronous_commit', 'off', true)"

/* After a COMMIT that did not wait, and after one that did. */
void durability_note_early(struct durability *durability, const struct position *position);
void durability_note_waited(struct durability *durability, const struct position *position);

/* How far the commits are on disk. Asks the server when that can have changed. */
MUST_CHECK bool durability_ask(struct durability *durability, struct session *session,
                               struct position *ret_position, struct error *err);
