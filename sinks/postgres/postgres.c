/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.c - changes into the tables of another PostgreSQL, exactly once.
 *
 * A commit is a target transaction that holds whole source transactions and the position (position_row.h).
 * So open returns the position that is stored, even when the answer of the last COMMIT was lost. BEGIN and
 * the lock are sent with the first changes, the position and COMMIT together at the end; a few changes and
 * their position are sent in one round trip. A COMMIT need not wait for the disk (durability.h); the COMMIT
 * in open does, so the position that open returns is durable, with everything before it.
 */
#include <assert.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/catalog/narrowing.h"
#include "sinks/postgres/check/check.h"
#include "sinks/postgres/copy/chunk_copy.h"
#include "sinks/postgres/copy/copy.h"
#include "sinks/postgres/copy/plan_rows.h"
#include "sinks/postgres/dead/dead_tables.h"
#include "sinks/postgres/postgres.h"
#include "sinks/postgres/postgres_commit.h"
#include "sinks/postgres/postgres_dead.h"
#include "sinks/postgres/settle/rejected.h"
#include "sinks/postgres/target/origin.h"
#include "sinks/postgres/verify/target_comparison.h"
#include "sinks/types.h"

/*
 * Isolation: a transaction without BEGIN has the session's level. tcp_*: the server must notice within 30 s
 * that this process is dead, because its open transaction holds the position's lock. client_min_messages: no
 * one reads notices here.
 */
static const char SETTINGS[] =
    "-c default_transaction_isolation=read\\ committed"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4 -c array_nulls=on"
    " -c client_min_messages=error";

static const struct option_spec POSTGRES_OPTIONS[] = {
    {"dsn", true, "connection string of the target, as for libpq: host=db user=loader dbname=warehouse"},
    {"password_file", false, "file whose first line is the password", OPTION_PATH, NULL},
    {"triggers", false,
     "replica: foreign keys and ordinary triggers do not act on the changes; fire: they act, and each change "
     "of such a table is applied by itself",
     OPTION_TEXT, "replica"},
    {"narrowing", false,
     "a column whose type can silently change the source's values: refuse stops the pipeline, allow accepts "
     "the column",
     OPTION_TEXT, "refuse"},
    {"on_missing", false,
     "a row to update or delete is missing: stop the pipeline, ignore the change, or insert the row of an "
     "update",
     OPTION_TEXT, "stop", .reloads = true},
    {"visible", false,
     "early: readers see rows shortly before they are on the target's disk; durable: each commit waits for "
     "the disk, so that readers see only rows that survive a crash",
     OPTION_TEXT, "early", .reloads = true},
    {"on_exists", false, "a row with the new key already exists: stop the pipeline, or overwrite the row",
     OPTION_TEXT, "stop", .reloads = true},
    {"on_error", false,
     "a change does not fit a table: stop the pipeline; or dead_letter, which keeps the change in pgcdc.dead "
     "and goes on with those of other keys",
     OPTION_TEXT, "stop"},
    {"dead_letter_limit", false,
     "of keys with dead letters; a change of one more key that does not fit stops the pipeline", OPTION_TEXT,
     "1000", .reloads = true},
    {"add_column", false,
     "a table of the source gets a column: apply adds it at the target, in the transaction in which it is "
     "used "
     "first; ignore leaves it out for good; stop says which statement to run",
     OPTION_TEXT, "apply", .reloads = true},
    {"drop_column", false,
     "a table of the source loses a column: keep leaves the target's, where new rows have NULL; apply drops "
     "it; "
     "stop says which statement to run",
     OPTION_TEXT, "keep", .reloads = true},
    {"rename_column", false, "a column of the source gets another name: apply, or stop", OPTION_TEXT, "apply",
     .reloads = true},
    {"widen_type", false,
     "a column of the source gets a wider type, such as bigint for integer: apply, or stop", OPTION_TEXT,
     "apply", .reloads = true},
    {"truncate", false,
     "a table of the source is truncated: apply, or ignore, which leaves the target's rows and counts it; "
     "stop",
     OPTION_TEXT, "apply", .reloads = true},
    {"origin", false,
     "name of a replication origin of the target under which the changes are committed, so that another "
     "pipeline with source.origin: none leaves them out; each sink needs its own"},
    {"detect_origin", false,
     "on: count updates and deletes of rows that another session of the target has changed "
     "(update_origin_differs, delete_origin_differs); needs origin and track_commit_timestamp, and applies "
     "row by row",
     OPTION_TEXT, "off"},
    {0},
};

static struct postgres_sink *postgres_of(struct sink *sink) {
    return (struct postgres_sink *) sink;
}

static void postgres_target(const struct sink_config *config, struct session_options *ret_options) {
    ret_options->dsn = sink_config_find(config, "dsn");
    ret_options->password_file = sink_config_find(config, "password_file");
    ret_options->peer = "target";
    ret_options->application = config->application;
}

static bool connect_target(struct postgres_sink *postgres, struct error *err) {
    const struct sink_config *config = postgres->target.sink.config;
    struct session_options options = {.gucs = SETTINGS, .stop = postgres->target.sink.stop};
    postgres_target(config, &options);
    if (options.dsn == NULL)
        return error_set(err, ERROR_CONFIG, "sink %s: dsn is missing", config->name);
    return session_open(&postgres->target.session, &options, err) &&
           session_take_bytes(&postgres->target.session, err);
}

/* Runs a statement that the server may refuse; only a lost connection is a failure. */
static bool try_statement(struct postgres_sink *postgres, const char *sql, bool *ret_done,
                          struct error *err) {
    *ret_done = session_execute(&postgres->target.session, sql, err);
    return *ret_done || err->sqlstate[0] != '\0';
}

static bool read_trigger_option(const struct sink_config *config, enum trigger_role *ret_role,
                                struct error *err) {
    const char *value = sink_config_find(config, "triggers");
    *ret_role = TRIGGERS_REPLICA;
    if (value == NULL || strcmp(value, "replica") == 0)
        return true;
    *ret_role = TRIGGERS_FIRE;
    if (strcmp(value, "fire") == 0)
        return true;
    error_set(err, ERROR_CONFIG, "triggers: expected replica or fire");
    return error_option(err, "triggers");
}

static bool is_replica(struct postgres_sink *postgres, bool *ret_replica, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&postgres->target.session,
                       "select pg_catalog.current_setting('session_replication_role') = 'replica'", 0, NULL,
                       &(const struct result_shape){"the query for session_replication_role", 1, 1, 1, 0},
                       &result, err))
        return false;
    *ret_replica = result_is_true(result, 0, 0);
    return true;
}

static bool refuse_replica(const struct postgres_sink *postgres, struct error *err) {
    const PGconn *conn = postgres->target.session.conn;
    struct buffer fix AUTO(buffer_release) = {.bytes_max = ERROR_REMEDY_MAX};
    buffer_append_text(&fix, "as a superuser: alter role ");
    identifier_append_printable(&fix, slice_of(PQuser(conn)));
    buffer_append_text(&fix, " in database ");
    identifier_append_printable(&fix, slice_of(PQdb(conn)));
    buffer_append_text(&fix, " set session_replication_role = origin;");
    error_set(err, ERROR_CONFIG,
              "target: triggers: fire, but session_replication_role is replica for role %s, which may not "
              "change it, so no trigger and no foreign key would act",
              PQuser(conn));
    return buffer_text(&fix) != NULL ? error_remedy(err, "%s", fix.data) : false;
}

/*
 * Overrides an ALTER ROLE or ALTER DATABASE that would disable the triggers and foreign keys of triggers:
 * fire.
 */
static bool let_triggers_fire(struct postgres_sink *postgres, struct error *err) {
    struct error answer = {0};
    bool replica = false, done = false;
    if (!is_replica(postgres, &replica, err))
        return false;
    if (!replica)
        return true;
    if (!try_statement(postgres, "set session_replication_role = origin", &done, &answer)) {
        *err = answer;
        return false;
    }
    return done ? true : refuse_replica(postgres, err);
}

static bool set_trigger_role(struct postgres_sink *postgres, struct error *err) {
    struct error answer = {0};
    postgres->target.replica_role = false;
    if (postgres->target.role == TRIGGERS_FIRE)
        return let_triggers_fire(postgres, err);
    if (!try_statement(postgres, "set session_replication_role = replica", &postgres->target.replica_role,
                       &answer)) {
        *err = answer;
        return false;
    }
    postgres->target.role = postgres->target.replica_role ? TRIGGERS_REPLICA : TRIGGERS_FORBIDDEN;
    return true;
}

/*
 * A set operation must find its rows by index, also in a table that was empty when the plan was made or was
 * never analyzed. Plans are made once, and a search for rows without a key tries its alternatives in the
 * order in which they are written. Set in the session, not in the connection's options, so that SET ... TO
 * DEFAULT restores the settings of the database and the role for triggers: see apply_rows.c.
 */
static const char PLANNER_OURS[] =
    "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;"
    " set plan_cache_mode = force_generic_plan; set max_parallel_workers_per_gather = 0";

static bool set_up_session(struct postgres_sink *postgres, struct error *err) {
    bool waits = false;
    if (!durability_read_option(postgres->target.sink.config, &waits, err))
        return false;
    if (!session_notice_our_end(&postgres->target.session, err) ||
        !session_execute(&postgres->target.session, PLANNER_OURS, err))
        return false;
    return durability_open(&postgres->target.durability, &postgres->target.session, waits, err);
}

static bool counts_conflicts(const struct postgres_sink *postgres) {
    return conflict_policy_counts(&postgres->target.policy) ||
           schema_policy_says(postgres->target.sink.config, &postgres->schema.policy, DDL_TRUNCATE,
                              DDL_IGNORE);
}

static bool postgres_open(struct sink *sink, struct position *ret_position, struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    const char *origin = NULL;
    size_t keys_max = 0;
    postgres->target.in_transaction = false;
    postgres->target.conflicts = (struct conflict_counts){0};
    postgres->target.row = (struct position_row){.pipeline = sink->config->pipeline,
                                                 .sink = sink->config->name,
                                                 .stream = sink_stream(sink->config),
                                                 .epoch = postgres->target.row.epoch,
                                                 .claim = postgres->target.row.claim};
    if (!read_trigger_option(sink->config, &postgres->target.role, err) ||
        !narrowing_read_option(sink->config, &postgres->target.may_narrow, err) ||
        !conflict_policy_read(sink->config, &postgres->target.policy, err) ||
        !dead_letters_read_options(sink->config, &keys_max, err) ||
        !origin_read_option(sink->config, &origin, err) || !connect_target(postgres, err) ||
        !set_up_session(postgres, err) || !set_trigger_role(postgres, err))
        return false;
    postgres->apply = apply_new(&postgres->target);
    if (postgres->apply == NULL)
        return error_no_memory(err);
    FAULT_POINT("postgres-before-epoch");
    postgres->apply->schema = &postgres->schema;
    dead_letters_init(&postgres->dead, &postgres->target, keys_max);
    postgres->apply->dead = keys_max > 0 ? &postgres->dead : NULL;
    return position_row_open(&postgres->target.row, &postgres->target.session, ret_position, err) &&
           schema_open(&postgres->schema, &postgres->target, err) &&
           dead_letters_open(&postgres->dead, err) &&
           (origin == NULL || origin_set_up(&postgres->target.session, origin, err)) &&
           (!postgres->target.policy.detects_origin ||
            origin_find(&postgres->target.session, origin, &postgres->target.origin_id, err)) &&
           (!counts_conflicts(postgres) || conflict_counts_open(&postgres->target.session, err));
}

static bool postgres_learn(struct sink *sink, struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    postgres->target.follows = postgres->schema.is_on && sink->facts.tables != NULL;
    return schema_learn(&postgres->schema, err);
}

static bool postgres_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct apply *apply = postgres_of(sink)->apply;
    if (!apply_changes(apply, span->changes + span->present, span->count - span->present, span->until, err))
        return span->is_alone ? apply_name_conflict(apply, err) : false;
    FAULT_POINT("postgres-after-write");
    return true;
}

/* ---- a copy in chunks ---- */

/* Chunks arrive in any order, so a row may arrive before the row that it refers to. */
static bool postgres_chunk_can(const struct sink *sink, const char **ret_reason) {
    const struct target *target = (const struct target *) sink;
    if (sink_config_find(sink->config, "origin") != NULL) {
        *ret_reason = "only one session can hold its origin, so the copiers' rows would be sent back";
        return false;
    }
    if (target->replica_role)
        return true;
    *ret_reason = target->role == TRIGGERS_FIRE
                      ? "triggers: fire lets foreign keys act during the copy"
                      : "foreign keys act during the copy, because the role may not set "
                        "session_replication_role";
    return false;
}

static bool postgres_chunk_store(struct sink *sink, const struct chunk_plan *plan,
                                 const struct position *position, struct error *err) {
    struct target *target = &postgres_of(sink)->target;
    FAULT_POINT("plan-before-store");
    if (!plan_rows_store(target, plan, err) ||
        !position_row_store(&target->row, &target->session, position, err))
        return false;
    FAULT_POINT("plan-before-commit");
    if (!session_execute(&target->session, "commit", err))
        return error_wrap(err, "committing the plan of the copy");
    target->in_transaction = false;
    FAULT_POINT("plan-committed");
    return true;
}

static bool postgres_chunk_load(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                                struct error *err) {
    return plan_rows_load(&postgres_of(sink)->target, arena, ret_plan, err);
}

static bool postgres_chunk_note(struct sink *sink, const struct chunk_note *note, struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    struct pq_pipeline *pipeline = &postgres->apply->pipeline;
    assert(!pipeline->active);
    if (!pq_pipeline_begin(pipeline, err))
        return false;
    if (target_begin(&postgres->target, pipeline, err) &&
        plan_rows_send_note(&postgres->target, pipeline, note, err) && pq_pipeline_finish(pipeline, err))
        return true;
    return explain_pipeline(&postgres->target, &pipeline->failure, err);
}

/* No transaction is it that brings the columns. */
static bool postgres_chunk_define(struct sink *sink, const struct relation *relation, lsn_t lsn,
                                  struct error *err) {
    const struct transaction none = {.commit_lsn = lsn, .end_lsn = lsn};
    return apply_define(postgres_of(sink)->apply, relation, &none, err);
}

/* The copier's epoch is that of the sink, which holds the pipeline. */
static bool postgres_chunk_open(struct sink *copier, const struct sink *sink, struct error *err) {
    struct postgres_sink *postgres = postgres_of(copier);
    const struct target *opened = (const struct target *) sink;
    postgres->target.in_transaction = false;
    /* What the runner does not change while its sink is open. */
    postgres->target.row = (struct position_row){.pipeline = opened->row.pipeline,
                                                 .sink = opened->row.sink,
                                                 .stream = opened->row.stream,
                                                 .epoch = opened->row.epoch};
    postgres->target.role = opened->role;
    postgres->target.may_narrow = opened->may_narrow;
    postgres->target.follows = opened->follows;
    return connect_target(postgres, err) && session_notice_our_end(&postgres->target.session, err) &&
           session_execute(&postgres->target.session, PLANNER_OURS, err) && set_trigger_role(postgres, err);
}

static void postgres_close(struct sink *sink) {
    struct postgres_sink *postgres = postgres_of(sink);
    apply_free(postgres->apply);
    schema_release(&postgres->schema);
    dead_letters_release(&postgres->dead);
    buffer_release(&postgres->target.sink.news);
    free(postgres->target.copied_columns);
    postgres->target.copied_columns = NULL;
    postgres->apply = NULL;
    session_close(&postgres->target.session);
    postgres->target.in_transaction = false;
}

static bool postgres_look(struct sink *sink, struct sink_view *ret_view, struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    const struct position_row row = {
        .pipeline = sink->config->pipeline, .sink = sink->config->name, .stream = sink_stream(sink->config)};
    bool seen = connect_target(postgres, err) &&
                position_row_look(&row, &postgres->target.session, ret_view, err) &&
                conflict_counts_look(sink->config, &postgres->target.session, ret_view->conflicts, err) &&
                dead_tables_count(sink->config, &postgres->target.session, &ret_view->dead, err) &&
                rejected_look(&postgres->target.session, ret_view, err);
    session_close(&postgres->target.session);
    return seen;
}

static bool postgres_compare(const struct sink_config *config, const struct comparison_terms *terms,
                             struct comparison **ret_comparison, struct error *err) {
    struct session_options options = {.stop = terms->stop};
    postgres_target(config, &options);
    options.application = terms->application;
    return target_comparison_open(config, &options, terms->source, ret_comparison, err);
}

static bool postgres_drop(struct sink *sink, struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    const struct position_row row = {
        .pipeline = sink->config->pipeline, .sink = sink->config->name, .stream = sink_stream(sink->config)};
    const char *origin = NULL;
    bool dropped = origin_read_option(sink->config, &origin, err) && connect_target(postgres, err) &&
                   conflict_counts_drop(sink->config, &postgres->target.session, err) &&
                   dead_tables_drop(sink->config, &postgres->target.session, err) &&
                   plan_rows_drop(sink->config, &postgres->target.session, err) &&
                   known_tables_drop(sink->config, &postgres->target.session, err) &&
                   position_row_drop(&row, &postgres->target.session, err) &&
                   (origin == NULL || origin_drop(&postgres->target.session, origin, err));
    session_close(&postgres->target.session);
    return dropped;
}

static bool postgres_validate(const struct sink_config *config, struct error *err) {
    enum trigger_role role;
    struct conflict_policy policy;
    const char *origin;
    struct schema_policy schema;
    size_t keys_max;
    bool narrowing;
    bool waits;
    return schema_policy_read(config, &schema, err) && durability_read_option(config, &waits, err) &&
           read_trigger_option(config, &role, err) && narrowing_read_option(config, &narrowing, err) &&
           conflict_policy_read(config, &policy, err) && dead_letters_read_options(config, &keys_max, err) &&
           origin_read_option(config, &origin, err);
}

static bool postgres_check(struct sink *sink, const struct sink_check *check, struct error *err) {
    const char *origin = NULL;
    struct conflict_policy policy;
    if (!target_check_all(sink->config, check, err) || !origin_read_option(sink->config, &origin, err) ||
        !conflict_policy_read(sink->config, &policy, err))
        return false;
    return origin == NULL || check->target == NULL ||
           origin_check(check->target, origin, policy.detects_origin, check, err);
}

static bool open_for_command(struct postgres_sink *postgres, struct error *err) {
    const struct sink_config *config = postgres->target.sink.config;
    postgres->target.in_transaction = false;
    postgres->target.row = (struct position_row){
        .pipeline = config->pipeline, .sink = config->name, .stream = sink_stream(config)};
    return read_trigger_option(config, &postgres->target.role, err) &&
           narrowing_read_option(config, &postgres->target.may_narrow, err) &&
           connect_target(postgres, err) && set_trigger_role(postgres, err);
}

bool postgres_prepare_command(struct postgres_sink *postgres, struct error *err) {
    const struct sink_config *config = postgres->target.sink.config;
    return read_trigger_option(config, &postgres->target.role, err) &&
           conflict_policy_read(config, &postgres->target.policy, err) &&
           session_notice_our_end(&postgres->target.session, err) &&
           session_execute(&postgres->target.session, PLANNER_OURS, err) && set_trigger_role(postgres, err);
}

/* What is read and removed whatever the triggers do. */
bool postgres_open_for_command(struct postgres_sink *postgres, struct error *err) {
    const struct sink_config *config = postgres->target.sink.config;
    postgres->target.in_transaction = false;
    postgres->target.row = (struct position_row){
        .pipeline = config->pipeline, .sink = config->name, .stream = sink_stream(config)};
    return connect_target(postgres, err);
}

/* The session of an operator can hold the origin while the engine does not. */
static bool refuse_add(const struct sink *sink, const char *reason, struct error *err) {
    const char *origin = sink_config_find(sink->config, "origin");
    struct buffer literal AUTO(buffer_release) = {.bytes_max = 4096};
    error_set(err, ERROR_CONFIG, "sink %s cannot copy while changes are applied: %s", sink->config->name,
              reason);
    if (origin == NULL)
        return false;
    literal_append(&literal, slice_of(origin));
    if (buffer_text(&literal) == NULL)
        return error_no_memory(err);
    return error_remedy(
        err,
        "once both pipelines have caught up, while no application writes to the table and the engine "
        "is stopped, copy its rows by hand in a session of the target that has run select "
        "pg_replication_origin_session_setup(%s)",
        literal.data);
}

static bool postgres_chunk_add_begin(struct sink *sink, struct table *tables, size_t count, bool replaces,
                                     struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    const char *reason = NULL;
    if (!open_for_command(postgres, err))
        return false;
    if (!postgres_chunk_can(sink, &reason))
        return refuse_add(sink, reason, err);
    return (replaces ? postgres_copy_begin_again(sink, tables, count, err)
                     : postgres_copy_begin(sink, tables, count, err)) &&
           chunk_copy_find_parts(sink, tables, count, err) && plan_rows_prepare_add(&postgres->target, err);
}

static bool postgres_chunk_add(struct sink *sink, struct chunk *chunks, size_t count, struct error *err) {
    struct target *target = &postgres_of(sink)->target;
    if (!plan_rows_add(target, chunks, count, err) ||
        !dead_tables_refuse(sink->config, &target->session, chunks, count, err))
        return false;
    FAULT_POINT("add-before-commit");
    if (!session_execute(&target->session, "commit", err))
        return false;
    target->in_transaction = false;
    return true;
}

static bool postgres_chunk_look(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                                struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    bool looked =
        postgres_open_for_command(postgres, err) && plan_rows_look(&postgres->target, arena, ret_plan, err);
    session_close(&postgres->target.session);
    return looked;
}

static bool postgres_chunk_remove(struct sink *sink, oid_t relation_oid, struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    bool removed =
        postgres_open_for_command(postgres, err) && plan_rows_remove(&postgres->target, relation_oid, err);
    session_close(&postgres->target.session);
    return removed;
}

static bool postgres_chunk_find_rewritten(struct sink *sink, const struct catalog_tables *tables,
                                          oid_t *ret_oids, size_t max, size_t *ret_count, struct error *err) {
    struct postgres_sink *postgres = postgres_of(sink);
    struct session *session = &postgres->target.session;
    bool found = postgres_open_for_command(postgres, err) &&
                 known_tables_find_rewritten(sink->config, session, tables, ret_oids, max, ret_count, err);
    session_close(session);
    return found;
}

static const struct sink_copy_ops POSTGRES_COPY = {
    .begin = postgres_copy_begin,
    .accepts_binary = postgres_copy_accepts_binary,
    .table = postgres_copy_table,
    .data = postgres_copy_data,
    .table_end = postgres_copy_table_end,
    .end = postgres_copy_end,
};

static const struct sink_chunk_ops POSTGRES_CHUNK = {
    .can = postgres_chunk_can,
    .find_parts = chunk_copy_find_parts,
    .store = postgres_chunk_store,
    .load = postgres_chunk_load,
    .note = postgres_chunk_note,
    .define = postgres_chunk_define,
    .open = postgres_chunk_open,
    .has_columns = chunk_copy_has_columns,
    .prepare = chunk_copy_prepare,
    .empty = chunk_copy_empty,
    .begin = chunk_copy_begin,
    .end = chunk_copy_end,
    .table_end = chunk_copy_table_end,
    .find_rewritten = postgres_chunk_find_rewritten,
    .add_begin = postgres_chunk_add_begin,
    .add = postgres_chunk_add,
    .look = postgres_chunk_look,
    .remove = postgres_chunk_remove,
};

static const struct sink_admin_ops POSTGRES_ADMIN = {
    .look = postgres_look,
    .check = postgres_check,
    .drop = postgres_drop,
    .target = postgres_target,
    .compare = postgres_compare,
    .dead = &postgres_dead_ops,
};

const struct sink_ops sink_postgres = {
    .type = "postgres",
    .keeps_modes = true,
    .options = POSTGRES_OPTIONS,
    .size = sizeof(struct postgres_sink),
    .stores_position = true,
    .follows_columns = true,
    .asks_columns = true,
    .takes_bytes = true,
    .validate = postgres_validate,
    .open = postgres_open,
    .learn = postgres_learn,
    .write = postgres_write,
    .commit = postgres_commit,
    .close = postgres_close,
    .copy = &POSTGRES_COPY,
    .chunk = &POSTGRES_CHUNK,
    .admin = &POSTGRES_ADMIN,
};
