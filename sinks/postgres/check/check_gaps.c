/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_gaps.c - columns of the target that a rule leaves empty, and those that the sink will add by itself.
 */
#include <stdio.h>
#include <string.h>

#include "sinks/mapping/ddl_rules.h"
#include "sinks/postgres/check/check.h"

enum { NAME_BYTES = 64 }; /* PostgreSQL's NAMEDATALEN */

/* ---- columns that no row fills ---- */

/* Several tables may become one, and each may fill a part of it. */
static bool is_filled(const struct target_check *target, const struct table *table, const char *column) {
    const struct sink_check *check = target->check;
    bool is_there = false;
    for (size_t i = 0; i < check->table_count; i++)
        is_there = is_there || (strcmp(check->tables[i].schema, table->schema) == 0 &&
                                strcmp(check->tables[i].name, table->name) == 0 &&
                                table_find_column(&check->tables[i], column) != NULL);
    return is_there;
}

void target_check_unfilled(const struct target_check *target, const struct table *table, const char *name,
                           const char *column, bool has_default) {
    if (table->mapped_from == NULL || is_filled(target, table, column))
        return;
    const char *quoted = target_check_name(target, NULL, column);
    sink_check_add(target->check, has_default ? SINK_NOTE : SINK_WARNING, "target_column_unfilled",
                   "the rule for table %s of the source gives no value to column %s of table %s, which %s",
                   table->mapped_from, quoted, name, has_default ? "gets its default" : "stays null");
    sink_check_fix(target->check, "nothing, if that is meant; else give it a value in the rule's columns: a "
                                  "column of the source with as, or sql, const or meta");
    sink_check_object(target->check, name);
    sink_check_gap(target->check, table, column);
}

/* ---- columns that the sink adds ---- */

/* The table's name at the source is that of the sink, or schema.table as the mapping has it. */
static bool find_ddl_rule(const struct target_check *target, const struct table *table,
                          const struct ddl_rule **ret_rule, struct error *err) {
    struct buffer schema AUTO(buffer_release) = {.bytes_max = NAME_BYTES};
    const char *dot = table->mapped_from != NULL ? strchr(table->mapped_from, '.') : NULL;
    if (dot != NULL)
        buffer_append(&schema, table->mapped_from, (size_t) (dot - table->mapped_from));
    else
        buffer_append_text(&schema, table->schema);
    if (buffer_text(&schema) == NULL)
        return error_no_memory(err);
    return ddl_rule_find(target->config->ddl, target->config->name, schema.data,
                         dot != NULL ? dot + 1 : table->name, ret_rule, err);
}

static bool find_action(const struct target_check *target, const struct table *table,
                        enum ddl_action *ret_action, struct error *err) {
    const char *const *words = ddl_event_words(DDL_ADD_COLUMN);
    const char *option = sink_config_find(target->config, ddl_event_key(DDL_ADD_COLUMN));
    const struct ddl_rule *rule = NULL;
    if (!find_ddl_rule(target, table, &rule, err))
        return false;
    *ret_action = ddl_event_usual(DDL_ADD_COLUMN);
    for (size_t i = 0; option != NULL && words[i] != NULL; i++)
        if (strcmp(words[i], option) == 0)
            *ret_action = ddl_event_action(DDL_ADD_COLUMN, i);
    if (rule != NULL && rule->actions[DDL_ADD_COLUMN] != DDL_UNSAID)
        *ret_action = rule->actions[DDL_ADD_COLUMN];
    return true;
}

static bool is_possible(const struct target_check *target, const struct table *table) {
    bool is_plain = !target->check->expects_copy && !target->check->is_refused;
    for (uint32_t i = 0; i < table->column_count; i++)
        is_plain = is_plain && table->columns[i].published && table->columns[i].generated == '\0';
    return is_plain;
}

/* What would have to be known of the sink's own table is its own affair: see sinks/postgres/schema. */
bool target_check_read_followed(const struct target_check *target, const struct table *table,
                                PGresult **ret_known, enum ddl_action *ret_action, struct error *err) {
    static const char READABLE[] =
        "select from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_class t"
        " join pg_namespace s on s.oid = t.relnamespace where n.nspname = 'pgcdc' and c.relname = 'columns'"
        " and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')"
        " and s.nspname = $1 and t.relname = $2 and pg_has_role(t.relowner, 'usage')";
    static const char KNOWN[] = "select pg_catalog.unnest(numbers)::pg_catalog.text from pgcdc.columns"
                                " where pipeline = $1 and sink = $2 and relation_oid = $3::pg_catalog.oid";
    char oid[16];
    const char *const names[] = {table->schema, table->name};
    const char *const parameters[] = {target->config->pipeline, target->config->name, oid};
    PGresult *readable AUTO_PGRESULT = NULL;
    PGresult *known AUTO_PGRESULT = NULL;
    snprintf(oid, sizeof oid, "%u", table->oid);
    *ret_known = NULL;
    if (!find_action(target, table, ret_action, err))
        return false;
    if (*ret_action == DDL_STOP || !is_possible(target, table))
        return true;
    if (!session_query(target->session, READABLE, 2, names,
                       &(const struct result_shape){"the query for pgcdc.columns", 0, 1, 0, 0}, &readable,
                       err))
        return false;
    if (PQntuples(readable) == 0)
        return true;
    if (!session_query(target->session, KNOWN, 3, parameters,
                       &(const struct result_shape){"the query for known columns", 0, RESULT_ROWS_ANY, 1, 0},
                       &known, err))
        return false;
    if (PQntuples(known) > 0) {
        *ret_known = known;
        known = NULL;
    }
    return true;
}
