/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - which server the source is, and on which timeline.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

enum {
    DATABASE_NAME_MAX = 64, /* PostgreSQL's NAMEDATALEN, NUL included */
};

struct source_identity {
    uint64_t system_id;
    uint32_t timeline;
    lsn_t flush_lsn; /* the end of the WAL that is durable at the source */
    bool is_standby;
    char database[DATABASE_NAME_MAX];
};

/* An ordinary session, for queries. stop may be NULL. */
MUST_CHECK bool source_open(struct session *session, const struct source_config *config,
                            const atomic_bool *stop, struct error *err);

/*
 * A replication session, with logical_decoding_work_mem and the other settings on which pgoutput's output
 * depends.
 */
MUST_CHECK bool source_open_replication(struct session *session, const struct source_config *config,
                                        const atomic_bool *stop, struct error *err);

/* ERROR_CONFIG if the server is older than SERVER_VERSION_MIN. */
MUST_CHECK bool source_check_version(const struct session *session, struct error *err);

/* On a replication session that does not stream. */
MUST_CHECK bool source_identify(struct session *replication, struct source_identity *ret_identity,
                                struct error *err);

/*
 * Where the current timeline's history left the given timeline. 0 when it is the current one; ERROR_REFUSE
 * when the server's history does not contain it. On a replication session that does not stream.
 */
MUST_CHECK bool source_fork_lsn(struct session *replication, const struct source_identity *identity,
                                uint32_t timeline, lsn_t *ret_fork_lsn, struct error *err);

/* wal_sender_timeout in milliseconds; 0: none. */
MUST_CHECK bool source_sender_timeout(struct session *replication, int *ret_timeout_ms, struct error *err);
