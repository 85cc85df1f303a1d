/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pushdown.c - sets row filters before the slot exists, and compares them at each later start.
 *
 * With a row filter the source refuses an UPDATE or DELETE of its applications when a column of the filter is
 * not part of the replica identity. So that is looked at before; a change of the identity afterwards is why
 * this is an option.
 *
 * The server keeps an expression, not its text. Both are compared as the server prints them: that of the rule
 * as a check of a temporary table, in a transaction that is rolled back.
 */
#include "cdc/source/pushdown.h"

#include <string.h>

#include "cdc/pq/identifier.h"
#include "cdc/source/publication.h"
#include "sinks/mapping/match.h"

enum { ROW_FILTER_VERSION = 150000, ARENA_BLOCK = 16384, REMEDY_SQL_MAX = 800 };

#define SQL_BYTES_MAX ((size_t) 1 << 20)
#define ARENA_BYTES_MAX ((size_t) 64 << 20)

/* The tables of a publication of ours, with their filters; one of all tables has no entries. */
static const char ENTRIES[] =
    "select r.oid, r.prrelid, n.nspname, c.relname, pg_catalog.pg_get_expr(r.prqual, r.prrelid)"
    " from pg_catalog.pg_publication p join pg_catalog.pg_publication_rel r on r.prpubid = p.oid"
    " join pg_catalog.pg_class c on c.oid = r.prrelid join pg_catalog.pg_namespace n on n.oid = "
    "c.relnamespace"
    " where p.pubname = $1 and not p.puballtables"
    " and pg_catalog.obj_description(p.oid, 'pg_publication') = '" PUBLICATION_MARK "' order by 3, 4";

enum { ENTRY_OID, ENTRY_TABLE, ENTRY_SCHEMA, ENTRY_NAME, ENTRY_FILTER, ENTRY_FIELDS };

/*
 * Does each partition, or the table itself, send the old values of the filter's columns? An update by which a
 * row begins to pass becomes an INSERT at the source, which needs the large values, too.
 */
static const char IDENTITY[] =
    "with used as (select a.attname from pg_catalog.pg_depend d join pg_catalog.pg_attribute a"
    "  on a.attrelid = d.refobjid and a.attnum = d.refobjsubid join pg_catalog.pg_publication_rel r"
    "  on r.oid = d.objid where d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass"
    "  and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = r.prrelid"
    "  and r.prrelid = $1::pg_catalog.oid and r.prqual is not null),"
    " leaf as (select c.oid, c.relreplident from pg_catalog.pg_class c where c.oid in"
    "  (select relid from pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) where isleaf"
    "   union all select $1::pg_catalog.oid) and c.relkind = 'r')"
    " select pg_catalog.count(*) > 0 and coalesce(pg_catalog.bool_and(l.relreplident = 'f' or ("
    "  not exists (select from pg_catalog.pg_attribute a where a.attrelid = l.oid and a.attnum > 0"
    "   and not a.attisdropped and a.attlen = -1 and a.attstorage <> 'p')"
    "  and not exists (select from used u where u.attname not in (select a.attname from pg_catalog.pg_index i"
    "   join pg_catalog.pg_attribute a on a.attrelid = l.oid and a.attnum = any (i.indkey)"
    "   where i.indrelid = l.oid and (l.relreplident = 'd' and i.indisprimary and i.indimmediate"
    "    or l.relreplident = 'i' and i.indisreplident))))), true) from leaf l";

struct pushdown {
    struct session *source;
    const struct config *config;
    struct arena arena;
    const PGresult *entries;
    struct buffer sql; /* of one statement */
};

static void pushdown_release(struct pushdown *pushdown) {
    arena_release(&pushdown->arena);
    buffer_release(&pushdown->sql);
}

/* *ret_where: the condition that all sinks have; NULL: there is none. */
static bool find_shared(const struct config *config, const char *schema, const char *table,
                        const char **ret_where, struct error *err) {
    const char *shared = NULL;
    *ret_where = NULL;
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct sink_config *sink = &config->sinks[i].sink;
        const struct rule *rule = NULL;
        if (sink->mapping != NULL && !rule_find(sink->mapping, sink->name, schema, table, &rule, err))
            return false;
        if (rule == NULL || rule->where == NULL || (shared != NULL && strcmp(rule->where, shared) != 0))
            return true;
        shared = rule->where;
    }
    *ret_where = shared;
    return true;
}

static const char *entry_text(const struct pushdown *pushdown, int row, int field) {
    return PQgetvalue(pushdown->entries, row, field);
}

static void append_table(struct pushdown *pushdown, int row) {
    identifier_append_qualified(&pushdown->sql, slice_of(entry_text(pushdown, row, ENTRY_SCHEMA)),
                                slice_of(entry_text(pushdown, row, ENTRY_NAME)));
}

/* A comment at the end of the condition ends with its line. */
static void append_alter(struct pushdown *pushdown, int row, const char *where) {
    static const char *const STEPS[] = {" drop table ", " add table "};
    for (size_t i = 0; i < 2; i++) {
        buffer_append_text(&pushdown->sql, "alter publication ");
        identifier_append(&pushdown->sql, slice_of(pushdown->config->source.publications[0]));
        buffer_append_text(&pushdown->sql, STEPS[i]);
        append_table(pushdown, row);
        if (i == 1 && where != NULL)
            buffer_printf(&pushdown->sql, " where (%s\n)", where);
        buffer_append_text(&pushdown->sql, "; ");
    }
}

/* Runs what was written and begins anew. */
static bool execute(struct pushdown *pushdown, struct error *err) {
    const char *sql = buffer_text(&pushdown->sql);
    const bool executed = sql != NULL ? session_execute(pushdown->source, sql, err) : error_no_memory(err);
    buffer_reset(&pushdown->sql);
    return executed;
}

static bool read_entries(struct pushdown *pushdown, PGresult **ret_entries, struct error *err) {
    const char *publication = pushdown->config->source.publications[0];
    if (!session_query(pushdown->source, ENTRIES, 1, &publication,
                       &(const struct result_shape){"the query for row filters", 0, RESULT_ROWS_ANY,
                                                    ENTRY_FIELDS, 1u << ENTRY_FILTER},
                       ret_entries, err))
        return false;
    pushdown->entries = *ret_entries;
    return true;
}

/* Of a server that has row filters, and a publication that could be ours. */
static bool is_possible(const struct session *source, const struct config *config) {
    return source->server_version >= ROW_FILTER_VERSION && config->source.publication_count == 1 &&
           !config->source.publication_is_given && !session_is_standby(source);
}

/* ---- before the slot exists ---- */

static bool read_identity(struct pushdown *pushdown, int row, bool *ret_fits, struct error *err) {
    const char *table = entry_text(pushdown, row, ENTRY_TABLE);
    PGresult *fits AUTO_PGRESULT = NULL;
    if (!session_query(pushdown->source, IDENTITY, 1, &table,
                       &(const struct result_shape){"the query for the replica identity", 1, 1, 1, 0}, &fits,
                       err))
        return false;
    *ret_fits = result_is_true(fits, 0, 0);
    return true;
}

/* *ret_reason: why the server, or what updates would need, does not allow it; NULL: it is done. */
static bool try_table(struct pushdown *pushdown, int row, const char *where, const char **ret_reason,
                      struct error *err) {
    struct error answer = {0};
    bool fits = false;
    *ret_reason = NULL;
    append_alter(pushdown, row, where);
    if (!execute(pushdown, &answer)) {
        *err = answer;
        *ret_reason = arena_copy(&pushdown->arena, slice_of(error_line(&answer).text));
        return answer.sqlstate[0] != '\0' && answer.kind != ERROR_RETRY && *ret_reason != NULL;
    }
    if (!read_identity(pushdown, row, &fits, err))
        return false;
    if (!fits)
        *ret_reason = "old rows would not have all it needs; at the source: alter table ... replica identity "
                      "full";
    return true;
}

static bool push_table(struct pushdown *pushdown, int row, const char *where, struct buffer *news,
                       struct error *err) {
    const char *reason = NULL;
    struct error answer = {0};
    if (!session_execute(pushdown->source, "savepoint pgcdc", err) ||
        !try_table(pushdown, row, where, &reason, &answer)) {
        *err = answer.kind != ERROR_NONE ? answer : *err;
        return false;
    }
    buffer_printf(news, "the condition of table %s.%s is %s%s\n", entry_text(pushdown, row, ENTRY_SCHEMA),
                  entry_text(pushdown, row, ENTRY_NAME),
                  reason == NULL ? "a row filter of the publication now"
                                 : "not pushed into the publication: ",
                  reason != NULL ? reason : "");
    return session_execute(pushdown->source,
                           reason == NULL ? "release savepoint pgcdc" : "rollback to savepoint pgcdc", err);
}

static bool push_tables(struct pushdown *pushdown, struct buffer *news, struct error *err) {
    for (int row = 0; row < PQntuples(pushdown->entries); row++) {
        const char *where = NULL;
        if (!PQgetisnull(pushdown->entries, row, ENTRY_FILTER))
            continue; /* by a run that was killed: pushdown_check compares it */
        if (!find_shared(pushdown->config, entry_text(pushdown, row, ENTRY_SCHEMA),
                         entry_text(pushdown, row, ENTRY_NAME), &where, err) ||
            (where != NULL && !push_table(pushdown, row, where, news, err)))
            return false;
    }
    return true;
}

bool pushdown_apply(struct session *source, const struct config *config, struct buffer *news,
                    struct error *err) {
    struct pushdown pushdown AUTO(pushdown_release) = {
        .source = source, .config = config, .sql = {.bytes_max = SQL_BYTES_MAX}};
    PGresult *entries AUTO_PGRESULT = NULL;
    struct error ignored = {0};
    arena_init(&pushdown.arena, ARENA_BLOCK, ARENA_BYTES_MAX);
    if (!config->source.pushes_rows)
        return true;
    if (!is_possible(source, config)) {
        buffer_append_text(news,
                           "no condition is pushed: that needs PostgreSQL 15 or later, a primary, and a "
                           "publication that pgcdc creates\n");
        return true;
    }
    if (config->source.table_count == 0) {
        buffer_append_text(news,
                           "no condition is pushed: the publication is for all tables, which PostgreSQL "
                           "sends whole; list the tables in source.tables before the first start\n");
        return true;
    }
    if (!session_execute(source, "begin; set local search_path = ''; set local lock_timeout = '5s'", err))
        return false;
    if (read_entries(&pushdown, &entries, err) && push_tables(&pushdown, news, err) &&
        session_execute(source, "commit", err))
        return true;
    if (source->conn != NULL && !session_execute(source, "rollback", &ignored))
        return false;
    return false;
}

/* ---- at each start ---- */

/* The condition as the server prints it; NULL: it does not accept it. */
static bool read_printed(struct pushdown *pushdown, int row, const char *where, PGresult **ret_printed,
                         struct error *err) {
    static const char PRINTED[] =
        "select pg_catalog.pg_get_expr(conbin, conrelid) from pg_catalog.pg_constraint"
        " where conrelid = 'pg_temp.pgcdc_pushdown'::pg_catalog.regclass and conname = 'pgcdc_where'";
    buffer_append_text(&pushdown->sql, "create temporary table pgcdc_pushdown (like ");
    append_table(pushdown, row);
    buffer_printf(&pushdown->sql,
                  "); alter table pg_temp.pgcdc_pushdown add constraint pgcdc_where check (%s\n)", where);
    return execute(pushdown, err) &&
           session_query(pushdown->source, PRINTED, 0, NULL,
                         &(const struct result_shape){"the query for a condition", 1, 1, 1, 0}, ret_printed,
                         err);
}

static bool is_same(struct pushdown *pushdown, int row, const char *where, bool *ret_same,
                    struct error *err) {
    PGresult *printed AUTO_PGRESULT = NULL;
    struct error answer = {0};
    *ret_same = false;
    if (where == NULL)
        return true;
    if (!session_execute(pushdown->source, "begin; set local search_path = ''", err))
        return false;
    const bool read = read_printed(pushdown, row, where, &printed, &answer);
    const bool is_denied = strcmp(answer.sqlstate, "42501") == 0;
    if (!read && answer.sqlstate[0] == '\0') {
        *err = answer;
        return false;
    }
    *ret_same = read && strcmp(PQgetvalue(printed, 0, 0), entry_text(pushdown, row, ENTRY_FILTER)) == 0;
    if (!session_execute(pushdown->source, "rollback", err))
        return false;
    if (is_denied) {
        *err = answer;
        error_wrap(err, "comparing the row filter of table %s.%s with its rule",
                   entry_text(pushdown, row, ENTRY_SCHEMA), entry_text(pushdown, row, ENTRY_NAME));
        return error_remedy(err, "give the role SELECT on the table and TEMPORARY on the source's database");
    }
    return true;
}

static bool refuse_filter(struct pushdown *pushdown, int row, const char *where, struct error *err) {
    const char *schema = entry_text(pushdown, row, ENTRY_SCHEMA),
               *name = entry_text(pushdown, row, ENTRY_NAME);
    const bool is_one_line = where == NULL || (strchr(where, '\n') == NULL && strstr(where, "--") == NULL);
    append_alter(pushdown, row, where);
    const char *sql = buffer_text(&pushdown->sql);
    error_set(err, ERROR_CONFIG, "publication %s sends only rows of table %s.%s where %s, and its rules %s",
              pushdown->config->source.publication, schema, name, entry_text(pushdown, row, ENTRY_FILTER),
              where != NULL ? "have another condition now" : "have no condition that all sinks share");
    if (sql == NULL || !is_one_line || strlen(sql) > REMEDY_SQL_MAX)
        return error_remedy(err,
                            "at the source, drop the table from the publication and add it again with the "
                            "rule's where, in one transaction; then run `pgcdc table copy %s.%s`, and start "
                            "again",
                            schema, name);
    return error_remedy(err,
                        "at the source: begin; %scommit; then run `pgcdc table copy %s.%s`, and start "
                        "again",
                        sql, schema, name);
}

static void note_kept(const struct pushdown *pushdown, int row, struct buffer *news) {
    buffer_printf(news, "publication %s sends only rows of table %s.%s where %s\n",
                  pushdown->config->source.publication, entry_text(pushdown, row, ENTRY_SCHEMA),
                  entry_text(pushdown, row, ENTRY_NAME), entry_text(pushdown, row, ENTRY_FILTER));
}

bool pushdown_check(struct session *source, const struct config *config, struct buffer *news,
                    struct error *err) {
    struct pushdown pushdown AUTO(pushdown_release) = {
        .source = source, .config = config, .sql = {.bytes_max = SQL_BYTES_MAX}};
    PGresult *entries AUTO_PGRESULT = NULL;
    arena_init(&pushdown.arena, ARENA_BLOCK, ARENA_BYTES_MAX);
    if (!is_possible(source, config))
        return true;
    if (!read_entries(&pushdown, &entries, err))
        return false;
    for (int row = 0; row < PQntuples(entries); row++) {
        const char *where = NULL;
        bool same = true;
        if (PQgetisnull(entries, row, ENTRY_FILTER))
            continue;
        if (!find_shared(config, entry_text(&pushdown, row, ENTRY_SCHEMA),
                         entry_text(&pushdown, row, ENTRY_NAME), &where, err))
            return false;
        if (where == NULL && !config->source.pushes_rows) {
            note_kept(&pushdown, row, news); /* it may be the operator's */
            continue;
        }
        if (!is_same(&pushdown, row, where, &same, err))
            return false;
        if (!same)
            return refuse_filter(&pushdown, row, where, err);
    }
    return true;
}
