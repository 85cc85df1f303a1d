/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_row.c - the statements on pgcdc.position.
 *
 * Lock and store divide by the number of rows found: none is an error on the server, which then skips the
 * rest of the pipeline. So COMMIT can be sent in the same pipeline and still cannot happen without them.
 */
#include "sinks/postgres/target/position_row.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/pq/lock_wait.h"
#include "sinks/postgres/target/durability.h"
#include "sinks/postgres/target/pq_pipeline.h"

#define UNDEFINED_TABLE "42P01"
#define INSUFFICIENT_PRIVILEGE "42501"
#define NO_SUCH_KEY "42P10"
#define NULL_IN_KEY "23502"
#define DUPLICATE_KEY "23505"

/*
 * A row has layout 3 while a copy in chunks goes on, which a build that knows only 2 must not continue. A
 * newer layout of the table also changes the default of the column layout, so that an empty table shows it.
 */
enum { LAYOUT_KNOWN = 3 };

/*
 * fillfactor 50: an update stays on its page and touches no index. A build that knows only layout 1, with
 * the key (pipeline, sink), inserts by column position and fails at the fifth column, whose name gives the
 * reason.
 */
static const char CREATE_SCHEMA[] = "create schema if not exists pgcdc";
static const char CREATE_TABLE[] =
    "create table if not exists pgcdc.position ("
    " pipeline text, sink text, end_lsn pg_lsn not null, commit_lsn pg_lsn not null,"
    " needs_a_newer_pgcdc boolean not null default true,"
    " system_id numeric not null, timeline bigint not null, epoch bigint not null,"
    " updated_at timestamptz not null, index bigint not null default 0, stream text not null default '',"
    " layout smallint not null default 2, primary key (pipeline, sink, stream)) with (fillfactor = 50)";

/* Migrates layout 1 to 2 in place, so that owner and grants stay. A table made by hand may have no key. */
static const char MIGRATE[] =
    "alter table pgcdc.position add column stream text not null default '',"
    " add column layout smallint not null default 2, add column index_of_2 bigint not null default 0;"
    " update pgcdc.position set index_of_2 = index;"
    " alter table pgcdc.position alter column index drop default, alter column index type boolean using "
    "true, alter column index set default "
    "true;"
    " alter table pgcdc.position rename column index to needs_a_newer_pgcdc;"
    " alter table pgcdc.position rename column index_of_2 to index;"
    " do $migrate$ declare key name; begin"
    " select conname into key from pg_catalog.pg_constraint"
    " where conrelid = 'pgcdc.position'::pg_catalog.regclass and contype = 'p';"
    " if found then execute pg_catalog.format('alter table pgcdc.position drop constraint %I', key);"
    " end if; end $migrate$;"
    " alter table pgcdc.position add primary key (pipeline, sink, stream)";

static const char EXISTS[] =
    "select (select pg_catalog.count(*) from pg_catalog.pg_namespace where nspname = 'pgcdc'),"
    " (select pg_catalog.count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
    " on n.oid = c.relnamespace where n.nspname = 'pgcdc' and c.relname = 'position'),"
    " (select pg_catalog.count(*) from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = "
    "a.attrelid"
    " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'pgcdc'"
    " and c.relname = 'position' and a.attname = 'layout' and not a.attisdropped)";

static const char READ_LAYOUT[] =
    "select coalesce(greatest((select pg_catalog.max(layout) from pgcdc.position),"
    " (select pg_catalog.substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '[0-9]+')::int"
    "  from pg_catalog.pg_attrdef d join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = "
    "d.adnum"
    "  where a.attrelid = 'pgcdc.position'::pg_catalog.regclass and a.attname = 'layout')), 2)";

static const struct result_shape EXISTS_SHAPE = {"the query for pgcdc.position", 1, 1, 3, 0};

/* Serializes engines that create at the same time: the second waits here and then finds the table. */
static const char CREATE_LOCK[] = "select pg_catalog.pg_advisory_xact_lock(7165065, 1)";

/*
 * A digit that is damaged in transit would be another position, which skips changes or applies them twice. So
 * the server sends the row once more, reversed, for read_row to compare.
 */
#define ROW                                                                                                  \
    "epoch, end_lsn, commit_lsn, index, system_id, timeline, pg_catalog.reverse(pg_catalog.concat_ws("       \
    "' ', epoch, end_lsn, commit_lsn, index, system_id, timeline))"

enum { ROW_END_LSN = 1, ROW_FIELDS = 6, ROW_REVERSED = ROW_FIELDS, ROW_AGE, ROW_TEXT_MAX = 256 };

/*
 * $3: our epoch, 0 when this process has none and may take over; $4: the claim whose answer may be lost; $5:
 * the new claim. It is above the epoch by a random step, so that another engine's claim cannot be mistaken
 * for ours.
 */
static const char OPEN[] =
    "insert into pgcdc.position as p (pipeline, sink, stream, end_lsn, commit_lsn, index, system_id, "
    "timeline,"
    " epoch, updated_at) values ($1, $2, $6, '0/0', '0/0', 0, 0, 0, $5, pg_catalog.clock_timestamp())"
    " on conflict (pipeline, sink, stream) do update set updated_at = excluded.updated_at,"
    "  epoch = case when $3::bigint = 0 then p.epoch + 1 else excluded.epoch end"
    " where $3::bigint = 0 or p.epoch in ($3::bigint, $4::bigint)"
    " returning " ROW;

#define CLAIM_STEP_MAX 1000000u

/*
 * Ends the engine's session that holds the row's lock, unless the row's epoch shows that this engine is
 * fenced. Also works with layout 1, whose engine may be that session. xmax of a locked or updated row is the
 * transaction that did it.
 */
static const char END_HOLDER[] =
    "select pg_catalog.count(pg_catalog.pg_terminate_backend(holder.pid)) from pgcdc.position p"
    " join pg_catalog.pg_stat_activity holder on holder.backend_xid = p.xmax"
    " where p.pipeline = $1 and p.sink = $2 and coalesce(pg_catalog.to_jsonb(p) ->> 'stream', '') = $5"
    "  and ($3::bigint = 0 or p.epoch in ($3::bigint, $4::bigint))"
    "  and holder.usename = current_user and holder.pid <> pg_catalog.pg_backend_pid()"
    "  and holder.application_name = pg_catalog.current_setting('application_name')";

/* Also works with layout 1, because a function that only reads does not migrate. */
#define STREAM_IS_3 "coalesce(pg_catalog.to_jsonb(p) ->> 'stream', '') = $3"

static const char LOOK[] = "select " ROW ","
                           " (extract(epoch from pg_catalog.clock_timestamp() - updated_at) * 1000)::bigint"
                           " from pgcdc.position p where pipeline = $1 and sink = $2 and " STREAM_IS_3;

static const char LOCK[] =
    "select 1 / pg_catalog.count(*) from (select from pgcdc.position"
    " where pipeline = $1 and sink = $2 and stream = $4 and epoch = $3 for update) locked";

#define UPDATE_ROW                                                                                           \
    "with stored as (update pgcdc.position set end_lsn = $4, commit_lsn = $5, index = $6, system_id = $7,"   \
    " timeline = $8, updated_at = pg_catalog.clock_timestamp()"                                              \
    " where pipeline = $1 and sink = $2 and stream = $9 and epoch = $3 and end_lsn <= $4 returning 1)"       \
    " select 1 / pg_catalog.count(*)"

static const char STORE[] = UPDATE_ROW " from stored";
static const char STORE_EARLY[] = UPDATE_ROW ", " COMMITS_EARLY " from stored";

/* Deletes the rows of every stream. */
static const char DROP_ROW[] = "delete from pgcdc.position where pipeline = $1 and sink = $2";

#define NUMBER_TEXT_MAX 24

struct row_parameters {
    const char *stream;
    const char *values[9];
    char epoch[NUMBER_TEXT_MAX];
    char index[NUMBER_TEXT_MAX];
    char system_id[NUMBER_TEXT_MAX];
    char timeline[NUMBER_TEXT_MAX];
    struct lsn_text end_lsn;
    struct lsn_text commit_lsn;
};

static void set_row(struct row_parameters *parameters, const struct position_row *row) {
    snprintf(parameters->epoch, sizeof parameters->epoch, "%" PRId64, row->epoch);
    parameters->values[0] = row->pipeline;
    parameters->values[1] = row->sink;
    parameters->values[2] = parameters->epoch;
    parameters->values[3] = row->stream;
}

/* What is stored here decides what is sent again. */
static void set_position(struct row_parameters *parameters, const struct position *position) {
    assert(position_exists(position));
    assert(position->index == 0 || position->commit_lsn != 0);
    parameters->end_lsn = lsn_format(position->end_lsn);
    parameters->commit_lsn = lsn_format(position->commit_lsn);
    snprintf(parameters->index, sizeof parameters->index, "%" PRIu64, position->index);
    snprintf(parameters->system_id, sizeof parameters->system_id, "%" PRIu64, position->system_id);
    snprintf(parameters->timeline, sizeof parameters->timeline, "%" PRIu32, position->timeline);
    parameters->stream = parameters->values[3];
    parameters->values[3] = parameters->end_lsn.text;
    parameters->values[4] = parameters->commit_lsn.text;
    parameters->values[5] = parameters->index;
    parameters->values[6] = parameters->system_id;
    parameters->values[7] = parameters->timeline;
    parameters->values[8] = parameters->stream;
}

static bool refuse_fenced(const struct position_row *row, struct error *err) {
    return error_set(err, ERROR_REFUSE,
                     "target: this engine's epoch %" PRId64
                     " of pipeline %s, sink %s in pgcdc.position is superseded: another engine has "
                     "taken over (or the row was changed); run only one",
                     row->epoch, row->pipeline, row->sink);
}

bool position_row_judge(const struct position_row *row, struct error *err) {
    return strcmp(err->sqlstate, DIVISION_BY_ZERO) == 0 ? refuse_fenced(row, err) : false;
}

/* Prepared once, because planning them would cost a small transaction more than everything else. */
static bool send_prepared(struct pq_pipeline *pipeline, uint64_t *prepared, const char *name, const char *sql,
                          int count, const char *const *values, struct error *err) {
    static const struct pq_pipeline_note PREPARED = {.rows_expected = ROWS_ANY};
    const struct pq_pipeline_note note = {.rows_expected = 1, .is_position = true};
    const struct pq_pipeline_parameters parameters = {.count = count, .values = values};
    if (*prepared != pipeline->drops + 1 &&
        !pq_pipeline_prepare(pipeline, name, sql, count, NULL, PREPARED, err))
        return false;
    *prepared = pipeline->drops + 1;
    return pq_pipeline_execute(pipeline, name, &parameters, note, err);
}

bool position_row_send_lock(struct position_row *row, struct pq_pipeline *pipeline, struct error *err) {
    struct row_parameters parameters;
    set_row(&parameters, row);
    return send_prepared(pipeline, &row->lock_prepared, "pgcdc_lock", LOCK, 4, parameters.values, err);
}

bool position_row_send_store(struct position_row *row, struct pq_pipeline *pipeline,
                             const struct position *position, bool is_early, struct error *err) {
    struct row_parameters parameters;
    set_row(&parameters, row);
    set_position(&parameters, position);
    return is_early ? send_prepared(pipeline, &row->store_early_prepared, "pgcdc_store_early", STORE_EARLY, 9,
                                    parameters.values, err)
                    : send_prepared(pipeline, &row->store_prepared, "pgcdc_store", STORE, 9,
                                    parameters.values, err);
}

bool position_row_store(const struct position_row *row, struct session *session,
                        const struct position *position, struct error *err) {
    struct row_parameters parameters;
    set_row(&parameters, row);
    set_position(&parameters, position);
    if (session_query(session, STORE, 9, parameters.values, NULL, NULL, err))
        return true;
    return position_row_judge(row, err);
}

/* Names the missing rights. */
static bool rights_missing(struct session *session, struct error *err) {
    if (strcmp(err->sqlstate, INSUFFICIENT_PRIVILEGE) != 0)
        return false;
    const char *role = PQuser(session->conn);
    return error_wrap(err,
                      "the position is stored in pgcdc.position; grant create on database \"%s\" "
                      "to \"%s\", or create it as an administrator and grant usage on schema pgcdc "
                      "and select, insert, update, delete on pgcdc.position to \"%s\"",
                      PQdb(session->conn), role, role);
}

/* Looks first, so that a role without the right to create can use a table that an administrator created. */
static bool create_if_missing(struct session *session, bool *ret_migrates, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, EXISTS, 0, NULL, &EXISTS_SHAPE, &result, err))
        return false;
    bool has_schema = strcmp(PQgetvalue(result, 0, 0), "0") != 0;
    bool has_table = strcmp(PQgetvalue(result, 0, 1), "0") != 0;
    *ret_migrates = has_table && strcmp(PQgetvalue(result, 0, 2), "0") == 0;
    if (has_table && !*ret_migrates)
        return true;
    if (!session_execute(session, CREATE_LOCK, err))
        return false;
    if (has_table)
        return true;
    if (!has_schema && !session_execute(session, CREATE_SCHEMA, err))
        return false;
    return session_execute(session, CREATE_TABLE, err);
}

static bool refuse_migration(struct session *session, struct error *err) {
    const char *role = PQuser(session->conn);
    if (strcmp(err->sqlstate, INSUFFICIENT_PRIVILEGE) == 0) {
        error_set(err, ERROR_CONFIG,
                  "target: pgcdc.position was made by an older pgcdc, and only its owner may bring it up to "
                  "date, with the right to create in schema pgcdc");
        return error_remedy(
            err, "alter table pgcdc.position owner to \"%s\"; grant usage, create on schema pgcdc to \"%s\";",
            role, role);
    }
    if (strcmp(err->sqlstate, DUPLICATE_KEY) != 0 && strcmp(err->sqlstate, NULL_IN_KEY) != 0)
        return false;
    error_set(err, ERROR_CONFIG,
              "target: pgcdc.position has no primary key, and more than one row of a pipeline and sink, or a "
              "row without their names");
    return error_remedy(err, "delete the rows that no pipeline uses; updated_at shows which is in use");
}

/* Another engine may have migrated while we waited for the lock. */
static bool migrate(struct session *session, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_execute(session, "lock table pgcdc.position in access exclusive mode", err) ||
        !session_query(session, EXISTS, 0, NULL, &EXISTS_SHAPE, &result, err))
        return false;
    return strcmp(PQgetvalue(result, 0, 2), "0") != 0 || session_execute(session, MIGRATE, err)
               ? true
               : refuse_migration(session, err);
}

static bool check_layout(struct session *session, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, READ_LAYOUT, 0, NULL,
                       &(const struct result_shape){"the query for the layout of pgcdc.position", 1, 1, 1, 0},
                       &result, err))
        return false;
    const long layout = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    if (layout <= LAYOUT_KNOWN)
        return true;
    error_set(err, ERROR_CONFIG, "target: pgcdc.position has layout %ld, and this build knows %d", layout,
              LAYOUT_KNOWN);
    return error_remedy(err, "run the newer pgcdc that has worked with this target");
}

/* Creates or migrates the table to this build's layout. */
static bool prepare_table(struct session *session, struct error *err) {
    bool migrates = false;
    return create_if_missing(session, &migrates, err) && (!migrates || migrate(session, err)) &&
           check_layout(session, err);
}

static bool is_reversed(const char *text, size_t size, const char *reversed) {
    if (strlen(reversed) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] != reversed[size - 1 - i])
            return false;
    return true;
}

static bool is_intact(const PGresult *result) {
    char text[ROW_TEXT_MAX] = "";
    size_t size = 0;
    for (int field = 0; field < ROW_FIELDS; field++) {
        const char *value = PQgetvalue(result, 0, field);
        const int added = snprintf(text + size, sizeof text - size, "%s%s", field > 0 ? " " : "", value);
        if (added < 0 || (size_t) added >= sizeof text - size)
            return false;
        size += (size_t) added;
    }
    return is_reversed(text, size, PQgetvalue(result, 0, ROW_REVERSED));
}

static bool refuse_damaged(struct error *err) {
    return error_set(err, ERROR_PROTOCOL,
                     "target: the position in pgcdc.position is not the one that the server read: the "
                     "server's data is damaged in transit");
}

static bool read_row(const PGresult *result, struct position_row *row, struct position *ret_position,
                     struct error *err) {
    struct position position = {0};
    if (PQntuples(result) == 1 && !is_intact(result))
        return refuse_damaged(err);
    if (PQntuples(result) != 1 || !lsn_parse(PQgetvalue(result, 0, 1), &position.end_lsn) ||
        !lsn_parse(PQgetvalue(result, 0, 2), &position.commit_lsn))
        return error_set(err, ERROR_CONFIG, "target: pgcdc.position is not the table that pgcdc creates");
    row->epoch = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    position.index = strtoull(PQgetvalue(result, 0, 3), NULL, 10);
    position.system_id = strtoull(PQgetvalue(result, 0, 4), NULL, 10);
    position.timeline = (uint32_t) strtoul(PQgetvalue(result, 0, 5), NULL, 10);
    *ret_position = position;
    return true;
}

/* What open may assume about the row: our epoch, or the claim whose answer was lost. */
struct claim {
    char epoch[NUMBER_TEXT_MAX];
    char lost[NUMBER_TEXT_MAX];
    char next[NUMBER_TEXT_MAX];
};

static int64_t claim_prepare(const struct position_row *row, struct claim *claim) {
    int64_t next = row->epoch == 0 ? 1 : row->epoch + 1 + (int64_t) arc4random_uniform(CLAIM_STEP_MAX);
    snprintf(claim->epoch, sizeof claim->epoch, "%" PRId64, row->epoch);
    snprintf(claim->lost, sizeof claim->lost, "%" PRId64, row->claim);
    snprintf(claim->next, sizeof claim->next, "%" PRId64, next);
    return next;
}

/* A claim that the server answered with an error did not take effect; any other may have. */
static bool claim_row(struct position_row *row, struct session *session, PGresult **ret_result,
                      struct error *err) {
    struct claim claim;
    int64_t next = claim_prepare(row, &claim);
    const char *const values[] = {row->pipeline, row->sink, claim.epoch, claim.lost, claim.next, row->stream};
    bool done =
        session_query(session, OPEN, 6, values,
                      &(const struct result_shape){"the claim of the position", 0, 1, ROW_REVERSED + 1, 0},
                      ret_result, err);
    if (done || err->sqlstate[0] == '\0')
        row->claim = next;
    if (done || strcmp(err->sqlstate, NO_SUCH_KEY) != 0)
        return done;
    error_set(err, ERROR_CONFIG, "target: pgcdc.position has no primary key");
    return error_remedy(err, "alter table pgcdc.position add primary key (pipeline, sink, stream);");
}

/* Every wait for a lock of an older transaction, the table's too, ends here. */
#define LIMIT_WAITS "set local lock_timeout = '5s'"

static bool raise_epoch(struct position_row *row, struct session *session, struct position *ret_position,
                        struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_execute(session, "begin isolation level read committed", err) ||
        !session_execute(session, LIMIT_WAITS, err) || !prepare_table(session, err) ||
        !claim_row(row, session, &result, err))
        return false;
    if (PQntuples(result) == 0) /* the query has locked the row, and the other engine needs it */
        return session_execute(session, "rollback", err) && refuse_fenced(row, err);
    return session_execute(session, "commit", err) && read_row(result, row, ret_position, err);
}

static bool is_locked(const struct error *err) {
    return strcmp(err->sqlstate, "55P03") == 0;
}

/*
 * What that session had not committed is rolled back, and sent again to the engine that holds the epoch. When
 * the whole table is locked, the row cannot show it.
 */
static bool end_holder(const struct position_row *row, struct session *session, struct error *err) {
    struct claim claim;
    struct error answer = {0};
    claim_prepare(row, &claim);
    const char *const values[] = {row->pipeline, row->sink, claim.epoch, claim.lost, row->stream};
    if (!session_execute(session, "rollback", err) ||
        !session_execute(session, "begin isolation level read committed", err) ||
        !session_execute(session, "set local lock_timeout = '1s'", err) ||
        (!session_query(session, END_HOLDER, 5, values, NULL, NULL, &answer) && !is_locked(&answer))) {
        if (answer.kind != ERROR_NONE)
            *err = answer;
        return false;
    }
    return session_execute(session, "rollback", err);
}

/*
 * The row may be locked by an engine that is about to commit, by a frozen engine, or by the session of a
 * dead engine whose end the server has not noticed yet. Wait for it a short time, then end the session,
 * because opening takes over.
 */
static bool take_over(struct position_row *row, struct session *session, struct position *ret_position,
                      struct error *err) {
    if (raise_epoch(row, session, ret_position, err))
        return true;
    if (!is_locked(err))
        return false;
    if (!end_holder(row, session, err))
        return false;
    if (raise_epoch(row, session, ret_position, err))
        return true;
    if (!is_locked(err))
        return false;
    lock_wait_explain_table(session, "pgcdc.position", err);
    return error_wrap(
        err,
        "pgcdc.position, or its row of pipeline %s, sink %s, remains locked by a session that is "
        "not an engine of role \"%s\"",
        row->pipeline, row->sink, PQuser(session->conn));
}

bool position_row_open(struct position_row *row, struct session *session, struct position *ret_position,
                       struct error *err) {
    if (take_over(row, session, ret_position, err))
        return true;
    return rights_missing(session, err);
}

bool position_row_look(const struct position_row *row, struct session *session, struct sink_view *ret_view,
                       struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct position_row seen = *row;
    struct sink_view view = {0};
    struct error answer = {0};
    if (!session_query(session, LOOK, 3, (const char *const[]){row->pipeline, row->sink, row->stream},
                       &(const struct result_shape){"the query for the position", 0, 1, ROW_AGE + 1, 0},
                       &result, &answer)) {
        if (strcmp(answer.sqlstate, UNDEFINED_TABLE) != 0) {
            *err = answer;
            return rights_missing(session, err);
        }
    } else if (PQntuples(result) == 1) {
        if (!read_row(result, &seen, &view.position, err))
            return false;
        view.age_ms = strtoll(PQgetvalue(result, 0, ROW_AGE), NULL, 10);
    }
    *ret_view = view;
    return true;
}

bool position_row_find_lsn(const struct position_row *row, struct session *session, lsn_t *ret_lsn,
                           struct error *err) {
    PGresult *found AUTO_PGRESULT = NULL;
    PGresult *position AUTO_PGRESULT = NULL;
    *ret_lsn = 0;
    if (!session_query(session, "select pg_catalog.to_regclass('pgcdc.position')", 0, NULL,
                       &(const struct result_shape){"the query for pgcdc.position", 1, 1, 1, 1u}, &found,
                       err))
        return false;
    if (PQgetisnull(found, 0, 0))
        return true;
    if (!session_query(session,
                       "select " ROW
                       " from pgcdc.position p where pipeline = $1 and sink = $2 and " STREAM_IS_3,
                       3, (const char *const[]){row->pipeline, row->sink, row->stream},
                       &(const struct result_shape){"the query for the position", 0, 1, ROW_REVERSED + 1, 0},
                       &position, err))
        return false;
    if (PQntuples(position) == 1 && !is_intact(position))
        return refuse_damaged(err);
    if (PQntuples(position) == 1 && !lsn_parse(PQgetvalue(position, 0, ROW_END_LSN), ret_lsn))
        *ret_lsn = 0; /* the row has no position yet */
    return true;
}

static bool has_no_row(struct session *session, bool *ret_empty, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, "select from pgcdc.position limit 1", 0, NULL,
                       &(const struct result_shape){"the query for positions", 0, 1, 0, 0}, &result, err))
        return false;
    *ret_empty = PQntuples(result) == 0;
    return true;
}

/* If another pipeline uses the table or the role does not own it, it stays; that is no failure. */
static bool drop_if_empty(struct session *session, struct error *err) {
    bool is_empty = false;
    if (!has_no_row(session, &is_empty, err))
        return false;
    if (!is_empty)
        return true;
    struct error ignored;
    if (session_execute(session, "savepoint pgcdc", err) &&
        session_execute(session, "drop table pgcdc.position; drop schema pgcdc", &ignored))
        return true;
    return session_execute(session, "rollback to savepoint pgcdc", err);
}

bool position_row_drop(const struct position_row *row, struct session *session, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, EXISTS, 0, NULL, &EXISTS_SHAPE, &result, err))
        return false;
    if (strcmp(PQgetvalue(result, 0, 1), "0") == 0)
        return true;
    const char *const values[] = {row->pipeline, row->sink};
    return session_execute(session, "begin isolation level read committed", err) &&
           session_execute(session, "lock table pgcdc.position in share row exclusive mode", err) &&
           session_query(session, DROP_ROW, 2, values, NULL, NULL, err) && drop_if_empty(session, err) &&
           session_execute(session, "commit", err);
}
