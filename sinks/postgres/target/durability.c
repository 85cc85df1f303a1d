/* SPDX-License-Identifier: Apache-2.0 */
/*
 * durability.c - asks where the target's WAL ends and how far it is on disk.
 *
 * One query serves twice: the end of the WAL is noted for everything committed so far, and the end of the
 * flushed WAL settles what was noted before.
 */
#include "sinks/postgres/target/durability.h"

#include <assert.h>
#include <string.h>

/* COMMIT_DURABLE must wait for the disk, which off does not; a setting stricter than local stays. */
static const char WAIT_FOR_DISK[] = "select pg_catalog.set_config('synchronous_commit', 'local', false)"
                                    " where pg_catalog.current_setting('synchronous_commit') = 'off'";

/* The setting for standbys can change while we run. */
static const char ASK[] =
    "select pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_current_wal_flush_lsn(),"
    " pg_catalog.current_setting('synchronous_commit') = 'local'"
    " or pg_catalog.current_setting('synchronous_standby_names') = ''";

struct answer {
    lsn_t insert_lsn;
    lsn_t flush_lsn;
    bool disk_suffices;
};

static bool durability_query(struct session *session, struct answer *ret_answer, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct answer answer = {0};
    if (!session_query(session, ASK, 0, NULL,
                       &(const struct result_shape){"the query for the end of its WAL", 1, 1, 3, 0}, &result,
                       err))
        return false;
    if (!lsn_parse(PQgetvalue(result, 0, 0), &answer.insert_lsn) ||
        !lsn_parse(PQgetvalue(result, 0, 1), &answer.flush_lsn))
        return error_set(err, ERROR_PROTOCOL, "target: the server does not report where its WAL ends");
    answer.disk_suffices = strcmp(PQgetvalue(result, 0, 2), "t") == 0;
    *ret_answer = answer;
    return true;
}

/*
 * A server that does not report where its WAL ends, such as another database with PostgreSQL's protocol,
 * gets commits that wait.
 */
static bool may_be_early(struct session *session, bool *ret_early, struct error *err) {
    struct answer answer = {0};
    struct error refusal = {0};
    if (durability_query(session, &answer, &refusal)) {
        *ret_early = answer.disk_suffices;
        return true;
    }
    if (refusal.sqlstate[0] == '\0' || refusal.kind == ERROR_RETRY) {
        *err = refusal;
        return false;
    }
    *ret_early = false;
    return true;
}

bool durability_read_option(const struct sink_config *config, bool *ret_waits, struct error *err) {
    const char *value = sink_config_find(config, "visible");
    *ret_waits = value != NULL && strcmp(value, "durable") == 0;
    if (value == NULL || *ret_waits || strcmp(value, "early") == 0)
        return true;
    error_set(err, ERROR_CONFIG, "visible: expected early or durable");
    return error_option(err, "visible");
}

bool durability_open(struct durability *durability, struct session *session, bool waits, struct error *err) {
    bool is_early = false;
    if (!session_query(session, WAIT_FOR_DISK, 0, NULL, NULL, NULL, err) ||
        (!waits && !may_be_early(session, &is_early, err)))
        return false;
    *durability = (struct durability){.waits = waits, .is_early = is_early};
    return true;
}

void durability_note_waited(struct durability *durability, const struct position *position) {
    durability->committed = durability->settled = *position;
    durability->asked_lsn = 0;
}

void durability_note_early(struct durability *durability, const struct position *position) {
    assert(durability->is_early);
    assert(durability->committed.end_lsn <= position->end_lsn);
    durability->committed = *position;
}

static bool is_settled(const struct durability *durability) {
    return durability->settled.end_lsn == durability->committed.end_lsn;
}

bool durability_ask(struct durability *durability, struct session *session, struct position *ret_position,
                    struct error *err) {
    struct answer answer = {0};
    if (!is_settled(durability)) {
        if (!durability_query(session, &answer, err))
            return false;
        /*
         * The setting now in force says nothing about earlier commits that did not wait: a commit that waits
         * settles them.
         */
        durability->is_early = answer.disk_suffices && !durability->waits;
        if (durability->asked_lsn != 0 && answer.flush_lsn >= durability->asked_lsn && answer.disk_suffices) {
            assert(durability->settled.end_lsn <= durability->asked.end_lsn);
            durability->settled = durability->asked;
            durability->asked_lsn = 0;
        }
        if (durability->asked_lsn == 0) {
            durability->asked = durability->committed;
            durability->asked_lsn = answer.insert_lsn;
        }
    }
    *ret_position = durability->settled;
    return true;
}
