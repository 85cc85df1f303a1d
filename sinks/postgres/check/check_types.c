/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_types.c - enums, domains and deferrable constraints that differ between target and source.
 *
 * The copy created them equal; ALTER TYPE, ALTER DOMAIN and ALTER TABLE at the source are not replicated.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/check/check.h"

#define TEXT_BYTES_MAX (1u << 20)

/* ---- enums ---- */

/* Runs on both sides: the labels of a type, each also quoted as ALTER TYPE needs it. $1 schema, $2 name. */
static const char LABELS[] =
    "select e.enumlabel, quote_literal(e.enumlabel) from pg_enum e join pg_type t on t.oid = e.enumtypid"
    " join pg_namespace n on n.oid = t.typnamespace where n.nspname = $1 and t.typname = $2 order by "
    "e.enumsortorder";

static const char CONSTRAINTS[] =
    "select pg_get_constraintdef(k.oid), quote_ident(k.conname) from pg_constraint k"
    " join pg_type t on t.oid = k.contypid join pg_namespace n on n.oid = t.typnamespace"
    " where n.nspname = $1 and t.typname = $2 and k.contype = 'c'"
    " union all select 'NOT NULL', null from pg_type t join pg_namespace n on n.oid = t.typnamespace"
    " where n.nspname = $1 and t.typname = $2 and t.typtype = 'd' and t.typnotnull";

struct both {
    const struct sink_check *check;
    const char *name;   /* quoted name of the type */
    const char *schema; /* quoted */
    const char *create_sql;
    PGresult *source;
    PGresult *target;
};

static void both_release(struct both *both) {
    PQclear(both->source);
    PQclear(both->target);
}

static bool read_both(struct both *both, const struct target_check *target, const struct table_type *type,
                      const char *sql, unsigned nullable, struct error *err) {
    const struct result_shape shape = {"the query for a type", 0, RESULT_ROWS_ANY, 2, nullable};
    const char *parameters[] = {type->schema, type->name};
    return session_query(both->check->source, sql, 2, parameters, &shape, &both->source, err) &&
           session_query(target->session, sql, 2, parameters, &shape, &both->target, err);
}

static bool is_missing(const PGresult *there, const PGresult *here, int row) {
    return result_find(there, 0, PQgetvalue(here, row, 0)) < 0;
}

static int count_missing(const PGresult *there, const PGresult *here, int *ret_row) {
    int count = 0;
    for (int row = 0; row < PQntuples(here); row++)
        if (is_missing(there, here, row)) {
            count++;
            *ret_row = row;
        }
    return count;
}

/* Labels are added in order, so that the label before each one always exists. */
static void append_additions(const struct both *both, struct buffer *text) {
    for (int row = 0; row < PQntuples(both->source); row++) {
        if (!is_missing(both->target, both->source, row))
            continue;
        buffer_printf(text, "%salter type %s add value %s", text->size > 0 ? "\n" : "", both->name,
                      PQgetvalue(both->source, row, 1));
        if (row > 0)
            buffer_printf(text, " after %s", PQgetvalue(both->source, row - 1, 1));
        else if (PQntuples(both->target) > 0)
            buffer_printf(text, " before %s", PQgetvalue(both->target, 0, 1));
        buffer_append_text(text, ";");
    }
}

/* The target has one label that the source lacks, and lacks one in the same place. */
static bool is_renamed(const struct both *both, int *ret_old, int *ret_new) {
    return PQntuples(both->source) == PQntuples(both->target) &&
           count_missing(both->target, both->source, ret_new) == 1 &&
           count_missing(both->source, both->target, ret_old) == 1 && *ret_old == *ret_new;
}

static bool has_same_order(const struct both *both) {
    int last = -1;
    for (int row = 0; row < PQntuples(both->source); row++) {
        int place = result_find(both->target, 0, PQgetvalue(both->source, row, 0));
        if (place >= 0 && place < last)
            return false;
        last = place >= 0 ? place : last;
    }
    return true;
}

static void compare_order(const struct both *both) {
    if (has_same_order(both))
        return;
    sink_check_add(
        both->check, SINK_WARNING, "target_enum_order",
        "the labels of type %s are in another order than at the source, so the target sorts differently",
        both->name);
    sink_check_fix(
        both->check,
        "make the type anew, in one transaction:\n1. alter type %s rename to pgcdc_old_type\n2. %s\n"
        "3. for each column that has it: alter table TABLE alter column COLUMN type %s using "
        "COLUMN::text::%s "
        "(an array: %s[])\n4. drop type %s.pgcdc_old_type",
        both->name, both->create_sql, both->name, both->name, both->name, both->schema);
    sink_check_object(both->check, both->name);
}

static bool report_labels(const struct both *both, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    int old_row = 0, new_row = 0, missing_row = 0;
    if (is_renamed(both, &old_row, &new_row))
        buffer_printf(&text, "alter type %s rename value %s to %s;", both->name,
                      PQgetvalue(both->target, old_row, 1), PQgetvalue(both->source, new_row, 1));
    else
        append_additions(both, &text);
    if (buffer_text(&text) == NULL)
        return error_no_memory(err);
    if (count_missing(both->target, both->source, &missing_row) == 0)
        return true;
    sink_check_add(both->check, SINK_PROBLEM, "target_enum", "type %s lacks labels that the source has: %s%s",
                   both->name, PQgetvalue(both->source, missing_row, 1),
                   count_missing(both->target, both->source, &missing_row) > 1 ? " and others" : "");
    sink_check_fix(both->check, "%s", text.data);
    sink_check_object(both->check, both->name);
    return true;
}

static bool compare_labels(const struct target_check *target, const struct table_type *type,
                           struct error *err) {
    struct both both AUTO(both_release) = {.check = target->check,
                                           .name = target_check_name(target, type->schema, type->name),
                                           .schema = target_check_name(target, NULL, type->schema),
                                           .create_sql = type->create_sql};
    if (!read_both(&both, target, type, LABELS, 0, err))
        return false;
    if (PQntuples(both.target) == 0)
        return true;
    compare_order(&both);
    return report_labels(&both, err);
}

/* ---- domains ---- */

/* A constraint that only the target has refuses values that the source accepts. The reverse stops nothing. */
static bool compare_constraints(const struct target_check *target, const struct table_type *type,
                                struct error *err) {
    struct both both AUTO(both_release) = {.check = target->check,
                                           .name = target_check_name(target, type->schema, type->name)};
    if (!read_both(&both, target, type, CONSTRAINTS, 1u << 1, err))
        return false;
    for (int row = 0; row < PQntuples(both.target); row++) {
        if (!is_missing(both.source, both.target, row))
            continue;
        bool is_null = PQgetisnull(both.target, row, 1);
        sink_check_add(
            target->check, SINK_PROBLEM, "target_domain",
            "domain %s is %s, but not at the source: a value that is valid there stops the pipeline",
            both.name, PQgetvalue(both.target, row, 0));
        sink_check_fix(target->check, "alter domain %s drop %s%s;", both.name,
                       is_null ? "not null" : "constraint ", is_null ? "" : PQgetvalue(both.target, row, 1));
        sink_check_object(target->check, both.name);
    }
    return true;
}

/* ---- */

/* Several tables may use one type; it is compared once. */
static bool is_first_use(const struct target_check *target, const struct table *table, uint32_t index) {
    const struct table_type *type = &table->types[index];
    for (const struct table *before = target->check->tables; before < table; before++)
        for (uint32_t i = 0; i < before->type_count; i++)
            if (strcmp(before->types[i].name, type->name) == 0 &&
                strcmp(before->types[i].schema, type->schema) == 0)
                return false;
    return true;
}

static bool starts_with(const char *text, const char *start) {
    return text != NULL && strncmp(text, start, strlen(start)) == 0;
}

bool target_check_types(const struct target_check *target, const struct table *table, struct error *err) {
    for (uint32_t i = 0; i < table->type_count; i++) {
        const struct table_type *type = &table->types[i];
        if (type->create_sql == NULL || !is_first_use(target, table, i))
            continue;
        bool is_domain = starts_with(type->create_sql, "create domain ");
        if (is_domain ? !compare_constraints(target, type, err) : !compare_labels(target, type, err))
            return false;
    }
    return true;
}
