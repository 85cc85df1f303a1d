/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - what has changed, whether it is certain, and carrying it out.
 */
#include "sinks/postgres/schema/schema.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/pq/lock_wait.h"
#include "sinks/postgres/catalog/type_shape.h"
#include "sinks/postgres/schema/column_numbers.h"
#include "sinks/postgres/schema/schema_plan.h"

#define UNDEFINED_OBJECT "42704"
#define INSUFFICIENT_PRIVILEGE "42501"
#define LOCK_NOT_AVAILABLE "55P03"
#define STATEMENT_BYTES_MAX 65536u

/* As long as this session waits for a table, those that come after it wait too. */
#define LIMIT_WAIT "set local lock_timeout = '5s'"
#define END_LIMIT "set local lock_timeout to default"

/* A role that may not use the table has tables that do not follow, as one that may not create it. */
static bool load_known(struct schema *schema, struct error *err) {
    struct error answer = {0};
    schema->is_on =
        known_tables_load(&schema->known, schema->target->sink.config, &schema->target->session, &answer);
    if (schema->is_on || strcmp(answer.sqlstate, INSUFFICIENT_PRIVILEGE) == 0)
        return true;
    *err = answer;
    return false;
}

bool schema_open(struct schema *schema, struct target *target, struct error *err) {
    bool denied = false;
    *schema = (struct schema){.target = target};
    known_tables_init(&schema->known);
    if (!schema_policy_read(target->sink.config, &schema->policy, err) ||
        !known_tables_create(&target->session, &denied, err))
        return false;
    schema->settles_truncate =
        schema_policy_says(target->sink.config, &schema->policy, DDL_TRUNCATE, DDL_IGNORE) ||
        schema_policy_says(target->sink.config, &schema->policy, DDL_TRUNCATE, DDL_STOP);
    schema->is_on = !denied && (target->sink.config->ddl != NULL || schema_policy_follows(&schema->policy));
    return !schema->is_on || load_known(schema, err);
}

void schema_release(struct schema *schema) {
    known_tables_release(&schema->known);
}

bool schema_learn(struct schema *schema, struct error *err) {
    const struct target *target = schema->target;
    if (!schema->is_on || target->sink.facts.tables == NULL)
        return true;
    return known_tables_learn(&schema->known, target->sink.config, &schema->target->session,
                              target->sink.facts.tables, err);
}

/* ---- what has changed ---- */

static bool is_known_column(const struct known_column *known, uint32_t number, const struct column *sent) {
    return known != NULL && known->number == number && slice_equal(known->name, sent->name) &&
           known->type_oid == sent->type_oid && known->type_modifier == sent->type_modifier;
}

static uint32_t live_count(const struct known_table *known) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < known->column_count; i++)
        count += !known->columns[i].is_kept;
    return count;
}

static bool has_known_columns(const struct relation *relation, const struct known_table *known,
                              const uint32_t *numbers) {
    bool same = live_count(known) == relation->column_count;
    for (uint32_t i = 0; same && i < relation->column_count; i++)
        same = is_known_column(schema_plan_known(known, numbers[i]), numbers[i], &relation->columns[i]);
    return same;
}

/* The source's own definition: it has the catalog, and its columns have numbers. */
static const struct relation *source_of(const struct relation *relation) {
    return relation->mapped_from != NULL ? relation->mapped_from : relation;
}

/* What ends versions of a history has some of its columns, and stands for the whole table here. */
static const struct relation *whole_of(const struct relation *in_sink) {
    return in_sink->mapped_from != NULL && in_sink->mapped_from->mapped_from != NULL ? in_sink->mapped_from
                                                                                     : in_sink;
}

bool schema_differs(const struct schema *schema, const struct relation *in_sink,
                    const struct transaction *transaction) {
    uint32_t numbers[RELATION_COLUMNS_MAX];
    const struct relation *relation = source_of(whole_of(in_sink));
    if (!schema->is_on || relation->catalog == NULL || relation->catalog->sends_part)
        return false;
    const struct known_table *known = known_tables_find(&schema->known, relation->oid);
    if (relation->catalog->locked_by != 0 && relation->catalog->locked_by == transaction->xid)
        return true;
    if (!column_numbers_find(relation, known, numbers))
        return known != NULL;
    return known == NULL || !has_known_columns(relation, known, numbers) ||
           !slice_equal(known->storage, relation->catalog->storage);
}

oid_t schema_left_out(const struct schema *schema, const struct relation *in_sink, bool *ret_left_out) {
    uint32_t numbers[RELATION_COLUMNS_MAX];
    const struct relation *relation = source_of(in_sink);
    const struct known_table *known = known_tables_find(&schema->known, relation->oid);
    bool any = false;
    if (known == NULL || !known_table_ignores(known) || relation->catalog == NULL ||
        relation->catalog->sends_part || !column_numbers_find(relation, known, numbers))
        return 0;
    for (uint32_t i = 0; i < in_sink->column_count; i++) {
        const uint32_t place = in_sink == relation ? i + 1 : in_sink->columns[i].source_place;
        const struct known_column *column = place > 0 ? schema_plan_known(known, numbers[place - 1]) : NULL;
        ret_left_out[i] = column != NULL && column->is_ignored && !in_sink->columns[i].is_ruled;
        any |= ret_left_out[i];
    }
    return any ? known->target_oid : 0;
}

/* ---- the target's table ---- */

/* The table, and the one to alter: a partition has the columns of its root. */
struct place {
    oid_t oid;
    oid_t root;
    char *name; /* quoted; of the root */
};

static void place_release(struct place *place) {
    free(place->name);
}

static bool find_place(struct session *session, const struct relation *relation, struct place *ret_place,
                       struct error *err) {
    static const char SQL[] =
        "select c.oid, r.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname)"
        " from pg_catalog.pg_class c join pg_catalog.pg_namespace s on s.oid = c.relnamespace"
        " join pg_catalog.pg_class r on r.oid = case when c.relispartition then"
        "  pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid else c.oid end"
        " join pg_catalog.pg_namespace n on n.oid = r.relnamespace"
        " where s.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')";
    PGresult *row AUTO_PGRESULT = NULL;
    const char *const parameters[] = {relation->schema.data, relation->name.data};
    if (!session_query(session, SQL, 2, parameters,
                       &(const struct result_shape){"the query for the target's table", 0, 1, 3, 0}, &row,
                       err))
        return false;
    *ret_place = (struct place){0};
    if (PQntuples(row) == 0)
        return true;
    ret_place->oid = result_oid(row, 0, 0);
    ret_place->root = result_oid(row, 0, 1);
    ret_place->name = strdup(PQgetvalue(row, 0, 2));
    return ret_place->name != NULL || error_no_memory(err);
}

/* ---- what stops ---- */

static bool is_at_source(const struct catalog_table *catalog, struct slice name) {
    for (uint32_t i = 0; i < catalog->column_count; i++)
        if (!catalog->columns[i].is_dropped && slice_equal(catalog->columns[i].name, name))
            return true;
    return false;
}

/* What SQL says by itself: the message has no room for a statement that is cut off. */
static bool explain_statement(const char *sql, struct error *err) {
    return strlen(sql) + sizeof "; then start again" < ERROR_REMEDY_MAX
               ? error_remedy(err, "%s; then start again", sql)
               : error_remedy(err, "pgcdc check prints the statements; then start again");
}

/* A copy begins with an empty table, and the rows of a mode are what was. So people alter the table. */
static bool explain_kept(const struct schema *schema, const char *table, const struct relation *relation,
                         const char *first, struct error *err) {
    const struct sink_config *config = schema->target->sink.config;
    return error_remedy(err,
                        "%sgive table %s at the target the columns that the source's has now, each under its "
                        "name; run `delete from pgcdc.columns where pipeline = '%s' and sink = '%s' and "
                        "relation_oid = %u` there; then start again",
                        first, table, config->pipeline, config->name, relation->oid);
}

static bool stop_unclear(const struct schema *schema, const struct place *place,
                         const struct relation *in_sink, struct error *err) {
    const struct relation *relation = source_of(in_sink);
    error_set(
        err, ERROR_DATA,
        "target: the columns of table %s have changed at the source, and changed again before this was seen, "
        "or in a way that its catalog does not prove: whether a column was renamed, or dropped and added, "
        "cannot be known",
        place->name);
    if (in_sink->mode != ROWS_MERGED)
        return explain_kept(schema, place->name, relation, "", err);
    return error_remedy(
        err,
        "drop table %s at the target and run `pgcdc table copy %s.%s`, which makes it anew and "
        "copies its rows; then start again",
        place->name, relation->schema.data, relation->name.data);
}

/*
 * A column of the definition that neither the target nor, by now, the source has. A table of which nothing is
 * known does not get it, and `pgcdc check` does not know it.
 */
static const struct column *find_gone(const struct schema_plan *plan) {
    for (uint32_t i = 0; i < plan->relation->column_count; i++) {
        const struct column *column = schema_plan_in_sink(plan, i);
        if (column != NULL && !plan->ignores[i] && plan_columns_find_name(plan->columns, column->name) < 0 &&
            !is_at_source(plan->relation->catalog, plan->relation->columns[i].name))
            return column;
    }
    return NULL;
}

/* The column's values were never in a row that is kept, but they are in those that come. */
static bool stop_gone(const struct schema *schema, const struct place *place, const struct schema_plan *plan,
                      const struct column *column, struct error *err) {
    if (plan->in_sink->mode == ROWS_MERGED)
        return stop_unclear(schema, place, plan->in_sink, err);
    error_set(err, ERROR_DATA, "target: table %s has no column \"%s\", which the source had and has no more",
              place->name, column->name.data);
    return error_remedy(
        err,
        "add column \"%s\" to table %s at the target, with a type that holds its values; then "
        "start again",
        column->name.data, place->name);
}

static bool stop_refused(const struct schema *schema, const struct schema_plan *plan, struct error *err) {
    error_set(err, ERROR_DATA, "target: column \"%s\" of table %s %s", plan->column, plan->table,
              plan->refused);
    if (plan->lacks_rule && plan->in_sink->mode != ROWS_MERGED)
        return explain_kept(schema, plan->table, plan->relation,
                            "correct the rules to the columns as they are; ", err);
    if (plan->lacks_rule)
        return error_remedy(err,
                            "correct the rules to the columns as they are, drop table %s at the target, and "
                            "run `pgcdc table copy "
                            "%s.%s`, which makes it anew and copies its rows; then start again",
                            plan->table, plan->relation->schema.data, plan->relation->name.data);
    if (plan->lacks_name)
        return error_remedy(err, "rename column \"%s\" of table %s at the target; then start again",
                            plan->column, plan->table);
    if (plan->lacks_type)
        return error_remedy(err,
                            "add column \"%s\" to table %s at the target, with a type that holds its values; "
                            "then start again",
                            plan->column, plan->table);
    if (!plan->needs_copy)
        return explain_statement(plan->sql.data, err);
    return error_remedy(
        err,
        "drop table %s at the target and run `pgcdc table copy %s.%s`, which makes it anew and "
        "copies its rows; then start again",
        plan->table, plan->relation->schema.data, plan->relation->name.data);
}

/* ---- carrying it out ---- */

static bool explain_refusal(struct schema *schema, const struct schema_plan *plan, struct error *err) {
    if (strcmp(err->sqlstate, LOCK_NOT_AVAILABLE) == 0)
        lock_wait_explain_table(&schema->target->session, plan->table, err);
    if (err->kind != ERROR_DATA && err->kind != ERROR_CONFIG)
        return false;
    err->kind = ERROR_DATA;
    error_wrap(err, "table %s follows the source's columns", plan->table);
    if (strcmp(err->sqlstate, UNDEFINED_OBJECT) == 0)
        return error_remedy(err,
                            "create at the target what is missing there, as it is at the source; then start "
                            "again");
    return explain_statement(plan->sql.data, err);
}

static bool lock_place(struct schema *schema, const char *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = STATEMENT_BYTES_MAX};
    buffer_printf(&sql, LIMIT_WAIT "; lock table %s in access exclusive mode", table);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (session_execute(&schema->target->session, sql.data, err))
        return true;
    if (strcmp(err->sqlstate, LOCK_NOT_AVAILABLE) == 0)
        lock_wait_explain_table(&schema->target->session, table, err);
    return false;
}

static bool carry_out(struct schema *schema, const struct schema_plan *plan, struct error *err) {
    if (plan->refused != NULL)
        return stop_refused(schema, plan, err);
    if (plan->sql.size == 0)
        return true;
    FAULT_POINT("columns-before-alter");
    if (!session_execute(&schema->target->session, plan->sql.data, err))
        return explain_refusal(schema, plan, err);
    FAULT_POINT("columns-altered");
    return true;
}

/* ---- noting it ---- */

/* The definition's columns, and those that the target has kept. */
static uint32_t list_known(const struct schema_plan *plan, const PGresult *after,
                           struct known_column *columns) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->relation->column_count; i++) {
        const struct column *sent = &plan->relation->columns[i];
        const struct column *column = schema_plan_in_sink(plan, i);
        const int row = column != NULL ? plan_columns_find_name(after, column->name) : -1;
        columns[count++] = (struct known_column){
            .number = plan->numbers[i],
            .name = sent->name,
            .type_oid = sent->type_oid,
            .type_modifier = sent->type_modifier,
            .is_ignored = plan->ignores[i],
            .target_number = row < 0 ? 0 : (uint32_t) strtoul(PQgetvalue(after, row, PLAN_NUMBER), NULL, 10)};
    }
    for (uint32_t i = 0; plan->known != NULL && i < plan->known->column_count; i++)
        if (schema_plan_keeps(plan, &plan->known->columns[i])) {
            columns[count] = plan->known->columns[i];
            columns[count++].is_kept = true;
        }
    return count;
}

/* Values of earlier rows are other ones at the source, or may be, and no change carries them. */
static bool has_old_values(const struct schema_plan *plan) {
    return plan->known != NULL &&
           (plan->needs_copy ||
            catalog_storage_is_rewritten(plan->known->storage, plan->relation->catalog->storage));
}

static bool wants_rows(const struct schema_plan *plan) {
    return plan->may_copy && plan->known != NULL && (plan->known->wants_rows || has_old_values(plan));
}

static void tell_old_values(struct schema *schema, struct schema_plan *plan) {
    if (!has_old_values(plan))
        return;
    if (plan->in_sink->mode != ROWS_MERGED) {
        buffer_printf(&plan->news,
                      "table %s: the source has written its rows anew; if this has changed values, they come "
                      "with the next change of each row\n",
                      plan->table);
        return;
    }
    schema->target->sink.wants_rows |= plan->may_copy;
    buffer_printf(&plan->news,
                  plan->may_copy
                      ? "table %s: its rows are copied again, because the source has written them anew\n"
                      : "table %s: the source has written its rows anew; if values have changed, "
                        "`pgcdc table copy` copies them\n",
                  plan->table);
}

static bool note_known(struct schema *schema, const struct schema_plan *plan, oid_t table,
                       struct error *err) {
    const struct relation *relation = plan->relation;
    const uint32_t kept_max = plan->known != NULL ? plan->known->column_count : 0;
    PGresult *after AUTO_PGRESULT = NULL;
    if (!plan_columns_read(&schema->target->session, table, &after, err))
        return false;
    struct known_column *columns = calloc(relation->column_count + kept_max + 1, sizeof *columns);
    if (columns == NULL)
        return error_no_memory(err);
    struct known_table known = {.oid = relation->oid,
                                .target_oid = table,
                                .columns_max = plan->known != NULL ? plan->known->columns_max : 0,
                                .storage = relation->catalog->storage,
                                .wants_rows = wants_rows(plan),
                                .column_count = list_known(plan, after, columns),
                                .columns = columns};
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (plan->numbers[i] > known.columns_max)
            known.columns_max = plan->numbers[i];
    const bool stored =
        known_tables_put(&schema->known, schema->target->sink.config, &schema->target->session, &known, err);
    free(columns);
    return stored;
}

/* transaction: the one that has brought the columns, or with xid 0 only a place (sink_chunk_ops.define). */
static bool blame(const struct transaction *transaction, struct error *err) {
    return transaction->xid != 0 && error_transaction(err, transaction->commit_lsn);
}

/* Each line gets the place. */
static bool tell_news(struct schema *schema, const struct schema_plan *plan,
                      const struct transaction *transaction, struct error *err) {
    struct buffer *news = &schema->target->sink.news;
    const char *line = plan->news.size > 0 ? plan->news.data : "";
    for (const char *end = strchr(line, '\n'); end != NULL; line = end + 1, end = strchr(line, '\n'))
        buffer_printf(news, "%.*s, %s %s\n", (int) (end - line), line,
                      transaction->xid != 0 ? "with the transaction that commits at"
                                            : "as the source's catalog says of",
                      lsn_format(transaction_named_lsn(transaction)).text);
    return buffer_ok(news) || error_no_memory(err);
}

static bool follow_table(struct schema *schema, const struct place *place, struct schema_plan *plan,
                         const struct transaction *transaction, struct error *err) {
    struct session *session = &schema->target->session;
    PGresult *columns AUTO_PGRESULT = NULL;
    PGresult *shapes AUTO_PGRESULT = NULL;
    const bool alters = plan->known != NULL && !has_known_columns(plan->relation, plan->known, plan->numbers);
    if (alters && !lock_place(schema, place->name, err))
        return false;
    if (!plan_columns_read(session, place->oid, &columns, err) ||
        !type_shapes_read_table(session, plan->in_sink->schema.data, plan->in_sink->name.data, &shapes, err))
        return false;
    plan->columns = columns;
    plan->shapes = shapes;
    if (!schema_plan_make(plan, err))
        return false;
    const struct column *gone = plan->known == NULL && plan->refused == NULL ? find_gone(plan) : NULL;
    if (gone != NULL)
        return stop_gone(schema, place, plan, gone, err);
    if (!carry_out(schema, plan, err))
        return false;
    tell_old_values(schema, plan);
    return note_known(schema, plan, place->oid, err) &&
           (!alters || session_execute(session, END_LIMIT, err)) && tell_news(schema, plan, transaction, err);
}

/* Nothing is known of the table, and its columns are not certain: it is written by their names. */
static bool check_names(const struct schema *schema, const struct place *place,
                        const struct relation *in_sink, struct error *err) {
    PGresult *columns AUTO_PGRESULT = NULL;
    if (!plan_columns_read(&schema->target->session, place->oid, &columns, err))
        return false;
    const struct schema_plan plan = {.relation = source_of(in_sink), .in_sink = in_sink, .columns = columns};
    const struct column *gone = find_gone(&plan);
    return gone == NULL || stop_gone(schema, place, &plan, gone, err);
}

/* Another table of the target, which an operator has made, has the columns that he gave it. */
static bool is_same_table(const struct known_table *known, const struct place *place) {
    return known != NULL && known->target_oid == place->oid;
}

static bool stop_locked(const struct relation *relation, struct error *err) {
    return error_set(
        err, ERROR_RETRY,
        "source: table \"%s\".\"%s\" is altered by a transaction that was sent and is not visible "
        "there yet",
        relation->schema.data, relation->name.data);
}

bool schema_follow(struct schema *schema, const struct relation *of_change,
                   const struct transaction *transaction, struct error *err) {
    struct place place AUTO(place_release) = {0};
    const struct relation *in_sink = whole_of(of_change);
    const struct relation *relation = source_of(in_sink);
    uint32_t numbers[RELATION_COLUMNS_MAX];
    const struct known_table *known = known_tables_find(&schema->known, relation->oid);
    assert(schema->target->in_transaction);
    if (relation->catalog->locked_by != 0 && relation->catalog->locked_by == transaction->xid)
        return stop_locked(relation, err);
    if (!find_place(&schema->target->session, in_sink, &place, err))
        return false;
    if (place.oid == 0)
        return true;
    if (!column_numbers_find(relation, known, numbers)) {
        if (known == NULL ? check_names(schema, &place, in_sink, err)
                          : stop_unclear(schema, &place, in_sink, err))
            return true;
        return err->kind == ERROR_DATA && blame(transaction, err);
    }
    struct schema_policy policy;
    if (!schema_policy_of_table(schema->target->sink.config, &schema->policy, relation->schema.data,
                                relation->name.data, &policy, err))
        return false;
    struct schema_plan plan AUTO(schema_plan_release) = {.relation = relation,
                                                         .in_sink = in_sink,
                                                         .known = is_same_table(known, &place) ? known : NULL,
                                                         .numbers = numbers,
                                                         .policy = &policy,
                                                         .may_copy = in_sink->mode == ROWS_MERGED &&
                                                                     schema->target->sink.facts.copies_again,
                                                         .table = place.name};
    if (follow_table(schema, &place, &plan, transaction, err))
        return true;
    return err->kind == ERROR_DATA && blame(transaction, err);
}
