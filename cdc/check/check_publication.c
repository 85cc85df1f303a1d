/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_publication.c - does the publication send the tables of source.tables, or may run create it?
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/shell_word.h"
#include "cdc/base/start_over.h"
#include "cdc/check/check.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/pushdown.h"
#include "cdc/source/scope.h"

#define SQL_BYTES_MAX (16u << 20)

struct candidates {
    PGresult *rows;
    int row;
    const char *schema;
    const char *name;
};

/* The next candidate that source.tables matches. */
static bool next_candidate(const struct check *check, struct candidates *candidates) {
    while (++candidates->row < PQntuples(candidates->rows)) {
        candidates->schema = PQgetvalue(candidates->rows, candidates->row, CANDIDATE_SCHEMA);
        candidates->name = PQgetvalue(candidates->rows, candidates->row, CANDIDATE_NAME);
        if (config_takes_table(&check->config->source, candidates->schema, candidates->name))
            return true;
    }
    return false;
}

static bool is_set(const struct candidates *candidates, int column) {
    return result_is_true(candidates->rows, candidates->row, column);
}

static bool is_unlogged(const struct candidates *candidates) {
    return PQgetvalue(candidates->rows, candidates->row, CANDIDATE_PERSISTENCE)[0] == 'u';
}

static const char *publication_name(struct check *check) {
    return check_name(check, NULL, check->config->source.publications[0]);
}

static void check_unlogged(struct check *check, PGresult *rows) {
    struct candidates candidates = {.rows = rows, .row = -1};
    while (next_candidate(check, &candidates)) {
        if (!is_unlogged(&candidates))
            continue;
        const char *name = check_name(check, candidates.schema, candidates.name);
        findings_add(&check->findings, SEVERITY_WARNING, "unlogged",
                     "table %s is unlogged: its changes are not in the WAL and cannot be sent", name);
        findings_fix(&check->findings, "alter table %s set logged;", name);
        findings_object(&check->findings, name);
    }
}

/* ---- a publication that is there ---- */

static void check_operations(struct check *check, const PGresult *publication) {
    static const char *const OPERATIONS[] = {"insert", "update", "delete", "truncate"};
    for (int i = 0; i < 4; i++) {
        if (result_is_true(publication, 0, i))
            continue;
        findings_add(&check->findings, SEVERITY_WARNING, "publication_operations",
                     "publication %s does not send %s, so the sinks will differ from the source",
                     publication_name(check), OPERATIONS[i]);
        findings_fix(&check->findings,
                     "alter publication %s set (publish = 'insert, update, delete, truncate');",
                     publication_name(check));
    }
}

static void check_filters(struct check *check) {
    for (size_t i = 0; i < check->tables.count; i++)
        if (check->tables.tables[i].row_filter_sql != NULL)
            findings_add(&check->findings, SEVERITY_NOTE, "row_filter",
                         "publication %s sends only some rows of %s: those where %s", publication_name(check),
                         check_name(check, check->tables.tables[i].schema, check->tables.tables[i].name),
                         check->tables.tables[i].row_filter_sql);
}

/* Run would refuse to continue with them. */
static bool check_pushed(struct check *check, struct error *err) {
    struct buffer news AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX}; /* check_filters has noted them */
    struct error refusal = {0};
    if (pushdown_check(&check->source, check->config, &news, &refusal))
        return true;
    if (refusal.kind == ERROR_CONFIG)
        findings_add_error(&check->findings, SEVERITY_PROBLEM, "row_filter_rule", &refusal);
    else
        *err = refusal;
    return refusal.kind == ERROR_CONFIG;
}

/* The next candidate that the publication does not send and could send. */
static bool next_missing(const struct check *check, struct candidates *candidates) {
    while (next_candidate(check, candidates))
        if (!is_unlogged(candidates) && !is_set(candidates, CANDIDATE_SENT))
            return true;
    return false;
}

static bool check_missing_identity(struct check *check, PGresult *rows, struct error *err) {
    struct candidates candidates = {.rows = rows, .row = -1};
    struct buffer oids AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    while (next_missing(check, &candidates))
        buffer_printf(&oids, "%c%s", oids.size == 0 ? '{' : ',',
                      PQgetvalue(rows, candidates.row, CANDIDATE_OID));
    if (oids.size == 0)
        return true;
    buffer_append_text(&oids, "}");
    return check_identity(check, buffer_text(&oids), "{}", err);
}

/* Would the next run stop at a table that the publication sends from now on, since its rows have no copy? */
static bool needs_copy(const struct check *check) {
    const struct config *config = check->config;
    for (size_t i = 0; i < config->sink_count; i++)
        if (sink_admin(config->sinks[i].ops, target) == NULL)
            return false;
    return check->has_action && check->action == START_STREAM &&
           config->source.snapshot == SNAPSHOT_INITIAL && config->copy.new_tables == NEW_TABLES_STOP;
}

static void fix_missing_table(struct check *check, const char *name) {
    if (!needs_copy(check)) {
        findings_fix(&check->findings, "alter publication %s add table %s;", publication_name(check), name);
        return;
    }
    const struct shell_word table = shell_word(name);
    findings_fix(&check->findings,
                 "pgcdc table add -c %s %s  # copies its rows too; publishes it, or prints the statement",
                 shell_word_of_file(check->config->path).text, table.text);
}

/* Without source.tables the publication defines the pipeline's tables. */
static bool check_missing_tables(struct check *check, PGresult *rows, struct error *err) {
    struct candidates candidates = {.rows = rows, .row = -1};
    if (check->config->source.table_count == 0)
        return true;
    if (check->sends_updates && !check_missing_identity(check, rows, err))
        return false;
    while (next_missing(check, &candidates)) {
        const char *name = check_name(check, candidates.schema, candidates.name);
        findings_add(&check->findings, SEVERITY_PROBLEM, "publication_lacks_table",
                     "source.tables lists table %s, but publication %s does not send it", name,
                     publication_name(check));
        fix_missing_table(check, name);
        findings_object(&check->findings, name);
    }
    return true;
}

static void add_extra_table(struct check *check, const char *name) {
    findings_add(&check->findings, SEVERITY_PROBLEM, "publication_has_more",
                 "publication %s includes table %s, which source.tables does not list",
                 publication_name(check), name);
    if (check->publication_is_for_all)
        findings_fix(&check->findings,
                     "list it in source.tables, or use a publication that lists its tables; %s is for all "
                     "tables or for schemas",
                     publication_name(check));
    else
        findings_fix(&check->findings, "alter publication %s drop table %s;  -- or change source.tables",
                     publication_name(check), name);
    findings_object(&check->findings, name);
}

static bool check_extra_tables(struct check *check, struct error *err) {
    PGresult *sent AUTO_PGRESULT = NULL;
    if (!scope_read_sent(&check->source, &check->config->source, &sent, err))
        return false;
    for (int row = 0; row < PQntuples(sent); row++)
        if (!scope_takes_sent(&check->config->source, sent, row))
            add_extra_table(check, check_name(check, PQgetvalue(sent, row, SENT_SCHEMA),
                                              PQgetvalue(sent, row, SENT_NAME)));
    return true;
}

/* Each entry of source.tables must match a table. */
static void check_patterns(struct check *check, const PGresult *rows) {
    struct error refusal = {0};
    if (!scope_check_patterns(&check->config->source, rows, &refusal))
        findings_add_error(&check->findings, SEVERITY_PROBLEM, "no_tables", &refusal);
}

static void check_empty(struct check *check) {
    if (check->tables.count > 0)
        return;
    findings_add(&check->findings, SEVERITY_WARNING, "publication_empty", "publication %s sends no table",
                 publication_name(check));
    findings_fix(&check->findings, "add tables: alter publication %s add table SCHEMA.TABLE",
                 publication_name(check));
}

static bool check_present(struct check *check, const PGresult *publication, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!scope_read_candidates(&check->source, &check->config->source, &rows, err) ||
        !catalog_read_tables(&check->source, check->config->source.publication_array, &check->arena,
                             &check->tables, err))
        return false;
    check->has_tables = true;
    check_operations(check, publication);
    check_empty(check);
    check_filters(check);
    check_unlogged(check, rows);
    check_patterns(check, rows);
    return check_missing_tables(check, rows, err) && check_extra_tables(check, err) &&
           check_pushed(check, err);
}

/* ---- a publication that is still to be made ---- */

struct wanted {
    struct buffer oids;  /* "{1,2" */
    struct buffer names; /* ", "-separated */
    size_t count;
    size_t not_owned;
};

static void wanted_release(struct wanted *wanted) {
    buffer_release(&wanted->oids);
    buffer_release(&wanted->names);
}

static void gather_wanted(const struct check *check, PGresult *rows, struct wanted *wanted) {
    struct candidates candidates = {.rows = rows, .row = -1};
    buffer_init(&wanted->oids, SQL_BYTES_MAX);
    buffer_init(&wanted->names, SQL_BYTES_MAX);
    while (next_candidate(check, &candidates)) {
        if (is_unlogged(&candidates))
            continue;
        buffer_printf(&wanted->oids, "%c%s", wanted->count == 0 ? '{' : ',',
                      PQgetvalue(rows, candidates.row, CANDIDATE_OID));
        buffer_append_text(&wanted->names, wanted->count == 0 ? "" : ", ");
        identifier_append_qualified(&wanted->names, slice_of(candidates.schema), slice_of(candidates.name));
        wanted->not_owned += !is_set(&candidates, CANDIDATE_OWNED);
        wanted->count++;
    }
    buffer_append_text(&wanted->oids, wanted->count == 0 ? "{}" : "}");
}

static void check_may_create(struct check *check, struct wanted *wanted) {
    bool for_all = check->config->source.table_count == 0;
    const char *names = buffer_text(&wanted->names);
    if (names == NULL)
        return;
    if (check->config->source.publication_is_given) {
        findings_add(&check->findings, SEVERITY_PROBLEM, "publication_missing",
                     "publication %s does not exist, and pgcdc creates only one that the file does not name",
                     check_name(check, NULL, check->config->source.publication));
        findings_fix(&check->findings,
                     "create publication %s for %s%s with (publish_via_partition_root = true);  -- or "
                     "correct its name",
                     publication_name(check), for_all ? "all tables" : "table ", for_all ? "" : names);
        return;
    }
    if (check->facts.in_recovery) {
        findings_add(&check->findings, SEVERITY_PROBLEM, "publication_missing",
                     "publication %s does not exist, and a standby cannot create it",
                     publication_name(check));
        findings_fix(
            &check->findings,
            "create publication %s for %s%s with (publish_via_partition_root = true);  -- at its primary",
            publication_name(check), for_all ? "all tables" : "table ", for_all ? "" : names);
        return;
    }
    if (check->facts.is_superuser || (!for_all && check->facts.may_create && wanted->not_owned == 0))
        return;
    findings_add(&check->findings, SEVERITY_PROBLEM, "publication_missing",
                 "publication %s does not exist, and role %s may not create it%s", publication_name(check),
                 check_name(check, NULL, check->facts.role),
                 for_all ? " (a publication for all tables requires a superuser)" : "");
    findings_fix(&check->findings,
                 "create publication %s for %s%s with (publish_via_partition_root = true);  -- as %s",
                 publication_name(check), for_all ? "all tables" : "table ", for_all ? "" : names,
                 for_all ? "a superuser" : "the tables' owner");
}

static void check_slot_without(struct check *check) {
    if (!check->slot.exists || !check->has_action || check_expects_slot(check))
        return;
    findings_add(&check->findings, SEVERITY_PROBLEM, "publication_missing",
                 "publication %s is missing, but slot %s exists: a new publication could not decode the WAL "
                 "that waits in the slot",
                 publication_name(check), check->config->source.slot);
    findings_fix(&check->findings, START_OVER);
}

static bool check_absent(struct check *check, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    struct wanted wanted AUTO(wanted_release) = {0};
    if (!scope_read_candidates(&check->source, &check->config->source, &rows, err))
        return false;
    gather_wanted(check, rows, &wanted);
    const char *oids = buffer_text(&wanted.oids);
    if (oids == NULL)
        return error_no_memory(err);
    if (!catalog_read_oids(&check->source, oids, &check->arena, &check->tables, err))
        return false;
    check->has_tables = true;
    check_patterns(check, rows);
    check_unlogged(check, rows);
    check_slot_without(check);
    if (wanted.count == 0)
        return true;
    if (!check_identity(check, oids, "{}", err))
        return false;
    check_may_create(check, &wanted);
    return true;
}

bool check_publication(struct check *check, struct error *err) {
    static const char SQL[] =
        "select bool_or(pubinsert), bool_or(pubupdate), bool_or(pubdelete), bool_or(pubtruncate),"
        " not exists (select from pg_publication_rel r join pg_publication l on l.oid = r.prpubid"
        "  where l.pubname = any($1::name[])),"
        " count(*) from pg_publication where pubname = any($1::name[])";
    const struct source_config *config = &check->config->source;
    PGresult *publication AUTO_PGRESULT = NULL;
    if (!session_query(&check->source, SQL, 1, &config->publication_array,
                       &(const struct result_shape){"the query for publications", 1, 1, 6, 15u}, &publication,
                       err))
        return false;
    check->publication_exists = strtoul(PQgetvalue(publication, 0, 5), NULL, 10) == config->publication_count;
    check->publication_is_for_all = result_is_true(publication, 0, 4);
    check->sends_updates =
        !check->publication_exists || result_is_true(publication, 0, 1) || result_is_true(publication, 0, 2);
    return check->publication_exists ? check_present(check, publication, err) : check_absent(check, err);
}
