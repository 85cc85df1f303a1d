/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.c - reads both sides from the catalog and compares them.
 */
#include "cdc/source/scope.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/identity.h"
#include "cdc/source/own_tables.h"

#define NAME_BYTES_MAX 64   /* NAMEDATALEN */
#define NAMES_BYTES_MAX 600 /* names in an error; further ones are counted */
#define OIDS_BYTES_MAX (16u << 20)

/* Temporary and system tables cannot be published; leaves of a partition tree are sent through their root. */
static const char CANDIDATES[] =
    "with sent as materialized (select c.oid from pg_publication_tables p join pg_namespace n on n.nspname = "
    "p.schemaname"
    "   join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename where p.pubname = "
    "any($1::name[]))"
    " select c.oid, n.nspname, c.relname, c.relpersistence, pg_has_role(c.relowner, 'usage'),"
    " c.oid in (select oid from sent) or (c.relkind = 'p'"
    "  and exists (select from pg_partition_tree(c.oid) t where t.relid in (select oid from sent)))"
    " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where c.relkind in ('r', 'p') and c.relpersistence <> 't' and not c.relispartition"
    " and n.nspname not in ('pg_catalog', 'information_schema')"
    " and not " IS_OWN_TABLE("n", "c") " and n.nspname !~ '^pg_toast' order by 2, 3";

static const char SENT[] =
    "select distinct n.nspname, c.relname, rn.nspname, r.relname"
    " from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname"
    " join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename"
    " join pg_class r on r.oid = case when c.relispartition then pg_partition_root(c.oid) else c.oid end"
    " join pg_namespace rn on rn.oid = r.relnamespace"
    " where p.pubname = any($1::name[])"
    " and not " IS_OWN_TABLE("n", "c") " order by 1, 2";

/*
 * The same, and the partitions of each published root: the server announces the root, then the leaf that
 * holds the row.
 */
static const char ANNOUNCED[] =
    "with sent as materialized (select distinct n.nspname, c.relname, c.oid, c.relkind,"
    "   case when c.relispartition then pg_partition_root(c.oid) else c.oid end as root"
    "  from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname"
    "  join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename where p.pubname = "
    "any($1::name[])),"
    " of as (select nspname, relname, unnest(array[root, oid]) as owner from sent union"
    "  select n.nspname, l.relname, unnest(array[sent.root, sent.oid]) from sent"
    "  cross join lateral pg_partition_tree(sent.oid) t join pg_class l on l.oid = t.relid"
    "  join pg_namespace n on n.oid = l.relnamespace where sent.relkind = 'p')"
    " select of.nspname, of.relname, n.nspname, r.relname from of join pg_class r on r.oid = of.owner"
    " join pg_namespace n on n.oid = r.relnamespace order by 1, 2, 3, 4";

bool scope_read_candidates(struct session *source, const struct source_config *config, PGresult **ret_rows,
                           struct error *err) {
    static const struct result_shape SHAPE = {"the query for its tables", 0, RESULT_ROWS_ANY, 6, 0};
    return session_query(source, CANDIDATES, 1, &config->publication_array, &SHAPE, ret_rows, err);
}

bool scope_read_sent(struct session *source, const struct source_config *config, PGresult **ret_rows,
                     struct error *err) {
    static const struct result_shape SHAPE = {"the query for published tables", 0, RESULT_ROWS_ANY, 4, 0};
    return session_query(source, SENT, 1, &config->publication_array, &SHAPE, ret_rows, err);
}

bool scope_read_announced(struct session *source, const struct source_config *config, PGresult **ret_rows,
                          struct error *err) {
    static const struct result_shape SHAPE = {"the query for published tables and their partitions", 0,
                                              RESULT_ROWS_ANY, 4, 0};
    return session_query(source, ANNOUNCED, 1, &config->publication_array, &SHAPE, ret_rows, err);
}

bool scope_takes_sent(const struct source_config *config, const PGresult *sent, int row) {
    return config_takes_table(config, PQgetvalue(sent, row, SENT_SCHEMA), PQgetvalue(sent, row, SENT_NAME)) ||
           config_takes_table(config, PQgetvalue(sent, row, SENT_ROOT_SCHEMA),
                              PQgetvalue(sent, row, SENT_ROOT_NAME));
}

static bool is_named_exactly(const struct source_config *config, const char *schema, const char *name) {
    for (size_t i = 0; i < config->table_count; i++)
        if (table_pattern_is_exact(&config->tables[i]) &&
            table_pattern_matches(&config->tables[i], schema, name))
            return true;
    return false;
}

/* ---- names ---- */

/* "a"."b", "a"."c" and 7 more */
struct names {
    struct buffer text;
    size_t count;
    size_t shown;
};

static void names_release(struct names *names) {
    buffer_release(&names->text);
}

static void names_init(struct names *names) {
    *names = (struct names){0};
    buffer_init(&names->text, 4 * NAMES_BYTES_MAX);
}

static void names_add(struct names *names, const char *schema, const char *name) {
    names->count++;
    if (names->text.size > NAMES_BYTES_MAX)
        return;
    buffer_append_text(&names->text, names->shown++ == 0 ? "" : ", ");
    identifier_append_qualified(&names->text, slice_of(schema), slice_of(name));
}

static const char *names_text(struct names *names) {
    if (names->count > names->shown)
        buffer_printf(&names->text, " and %zu more", names->count - names->shown);
    const char *text = buffer_text(&names->text);
    return text != NULL ? text : "?";
}

/* ---- patterns ---- */

static bool is_unlogged(const PGresult *candidates, int row) {
    return PQgetvalue(candidates, row, CANDIDATE_PERSISTENCE)[0] == 'u';
}

static bool check_pattern(const struct table_pattern *pattern, const PGresult *candidates,
                          struct error *err) {
    bool only_unlogged = false;
    for (int row = 0; row < PQntuples(candidates); row++) {
        if (!table_pattern_matches(pattern, PQgetvalue(candidates, row, CANDIDATE_SCHEMA),
                                   PQgetvalue(candidates, row, CANDIDATE_NAME)))
            continue;
        if (!is_unlogged(candidates, row))
            return true;
        only_unlogged = true;
    }
    error_set(
        err, ERROR_CONFIG,
        only_unlogged
            ? "source.tables: %s.%s is unlogged, so its changes are not in the WAL and cannot be sent"
            : "source.tables: no table of the source matches %s.%s (of a partitioned table the root counts)",
        pattern->schema, pattern->name);
    return error_remedy(err, only_unlogged ? "make it logged, or remove it from source.tables"
                                           : "correct source.tables, or connect to the database that has it");
}

bool scope_check_patterns(const struct source_config *config, const PGresult *candidates, struct error *err) {
    for (size_t i = 0; i < config->table_count; i++)
        if (!check_pattern(&config->tables[i], candidates, err))
            return false;
    return true;
}

/* ---- named, and not sent ---- */

static bool refuse_lacking(const struct source_config *config, enum scope_moment moment,
                           struct names *lacking, bool needs_identity, struct error *err) {
    struct buffer remedy AUTO(buffer_release) = {.bytes_max = 8 * NAMES_BYTES_MAX};
    struct buffer publication AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    const char *names = names_text(lacking);
    identifier_append(&publication, slice_of(config->publications[0]));
    const char *name = buffer_text(&publication);
    if (name == NULL)
        return error_no_memory(err);
    if (moment == SCOPE_COMPARING)
        buffer_append_text(&remedy, "they were not compared; pgcdc check prints the remedy");
    else if (moment == SCOPE_NEW)
        buffer_printf(&remedy, "alter publication %s add table %s; or remove them from source.tables", name,
                      names);
    else
        buffer_printf(
            &remedy,
            "`pgcdc table add` publishes and copies them (%s), or prints the statement that publishes "
            "them; or remove them from source.tables",
            names);
    const char *text = buffer_text(&remedy);
    const bool one = lacking->count == 1;
    error_set(
        err, ERROR_CONFIG,
        "source.tables lists table%s %s, but publication %s does not send %s (never added, or dropped and "
        "created again)",
        one ? "" : "s", names, config->publication, one ? "it" : "them");
    error_finding(err, "publication_lacks_table");
    /* A truncated statement would be executed as it is printed. */
    bool is_whole = text != NULL && lacking->count == lacking->shown && remedy.size < ERROR_REMEDY_MAX;
    if (needs_identity)
        return error_remedy(err,
                            "pgcdc check prints the remedy: some of these tables need a replica identity "
                            "before the publication may send them");
    return error_remedy(err, "%s", is_whole ? text : "pgcdc check prints the remedy");
}

static void warn_lacking(const struct source_config *config, struct names *newcomers, char *warning) {
    if (newcomers->count > 0 && warning != NULL)
        snprintf(warning, SCOPE_WARNING_MAX,
                 "source.tables matches %s, but publication %s does not send it, so its changes are not "
                 "replicated; pgcdc check prints the remedy",
                 names_text(newcomers), config->publication);
}

static bool check_lacking(struct session *source, const struct source_config *config,
                          const PGresult *candidates, enum scope_moment moment, char *warning,
                          struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = OIDS_BYTES_MAX};
    bool needs_identity = false;
    struct names lacking AUTO(names_release);
    struct names newcomers AUTO(names_release);
    names_init(&lacking);
    names_init(&newcomers);
    for (int row = 0; row < PQntuples(candidates); row++) {
        const char *schema = PQgetvalue(candidates, row, CANDIDATE_SCHEMA);
        const char *name = PQgetvalue(candidates, row, CANDIDATE_NAME);
        if (result_is_true(candidates, row, CANDIDATE_SENT) || is_unlogged(candidates, row) ||
            !config_takes_table(config, schema, name))
            continue;
        bool may_be_new = moment == SCOPE_RUNNING && !is_named_exactly(config, schema, name);
        names_add(may_be_new ? &newcomers : &lacking, schema, name);
        if (!may_be_new)
            buffer_printf(&oids, "%c%s", oids.size == 0 ? '{' : ',',
                          PQgetvalue(candidates, row, CANDIDATE_OID));
    }
    warn_lacking(config, &newcomers, warning);
    if (lacking.count == 0)
        return true;
    buffer_append_text(&oids, "}");
    if (buffer_text(&oids) == NULL)
        return error_no_memory(err);
    return (moment == SCOPE_COMPARING || identity_is_lacking(source, oids.data, &needs_identity, err)) &&
           refuse_lacking(config, moment, &lacking, needs_identity, err);
}

/* ---- sent, and not named ---- */

static bool check_extra(const struct source_config *config, const PGresult *sent, enum scope_moment moment,
                        struct error *err) {
    struct names extra AUTO(names_release);
    names_init(&extra);
    for (int row = 0; row < PQntuples(sent); row++)
        if (!scope_takes_sent(config, sent, row))
            names_add(&extra, PQgetvalue(sent, row, SENT_SCHEMA), PQgetvalue(sent, row, SENT_NAME));
    if (extra.count == 0 || moment == SCOPE_COMPARING)
        return true;
    const char *names = names_text(&extra);
    error_set(err, ERROR_CONFIG, "publication %s includes table%s %s, which source.tables does not list",
              config->publication, extra.count == 1 ? "" : "s", names);
    error_finding(err, "publication_has_more");
    if (extra.count > extra.shown)
        return error_remedy(err,
                            "list them there, or drop them from the publication; pgcdc check names all of "
                            "them");
    return error_remedy(
        err,
        "list them there, or drop them at the source: alter publication %s drop table %s (if it is for all "
        "tables or for a schema: use a publication that lists its tables)",
        config->publication, names);
}

bool scope_check(struct session *source, const struct source_config *config, enum scope_moment moment,
                 char *warning, struct error *err) {
    PGresult *candidates AUTO_PGRESULT = NULL;
    PGresult *sent AUTO_PGRESULT = NULL;
    if (config->table_count == 0)
        return true;
    return scope_read_candidates(source, config, &candidates, err) &&
           scope_read_sent(source, config, &sent, err) && scope_check_patterns(config, candidates, err) &&
           check_lacking(source, config, candidates, moment, warning, err) &&
           check_extra(config, sent, moment, err);
}

/* ---- while it streams ---- */

static bool has_sent(const PGresult *sent, const char *schema, const char *name) {
    for (int row = 0; row < PQntuples(sent); row++)
        if (strcmp(PQgetvalue(sent, row, SENT_NAME), name) == 0 &&
            strcmp(PQgetvalue(sent, row, SENT_SCHEMA), schema) == 0)
            return true;
    return false;
}

bool scope_check_kept(struct session *source, const struct source_config *config, const PGresult *sent,
                      char *warning, struct error *err) {
    PGresult *candidates AUTO_PGRESULT = NULL;
    struct names lost AUTO(names_release);
    names_init(&lost);
    if (config->table_count > 0)
        return true;
    if (!scope_read_candidates(source, config, &candidates, err))
        return false;
    for (int row = 0; row < PQntuples(candidates); row++) {
        const char *schema = PQgetvalue(candidates, row, CANDIDATE_SCHEMA);
        const char *name = PQgetvalue(candidates, row, CANDIDATE_NAME);
        if (PQgetvalue(candidates, row, CANDIDATE_SENT)[0] != 't' && has_sent(sent, schema, name))
            names_add(&lost, schema, name);
    }
    if (lost.count > 0)
        snprintf(warning, SCOPE_WARNING_MAX,
                 "publication %s no longer sends %s (removed from it, or dropped and created again), so its "
                 "changes are not replicated",
                 config->publication, names_text(&lost));
    return true;
}

bool scope_takes_relation(const struct source_config *config, const PGresult *sent, struct slice schema,
                          struct slice name) {
    char names[2][NAME_BYTES_MAX];
    if (config->table_count == 0)
        return true;
    snprintf(names[0], sizeof names[0], "%.*s", (int) schema.size, schema.data);
    snprintf(names[1], sizeof names[1], "%.*s", (int) name.size, name.data);
    if (config_takes_table(config, names[0], names[1]))
        return true;
    for (int row = 0; row < PQntuples(sent); row++)
        if (strcmp(PQgetvalue(sent, row, SENT_NAME), names[1]) == 0 &&
            strcmp(PQgetvalue(sent, row, SENT_SCHEMA), names[0]) == 0 && scope_takes_sent(config, sent, row))
            return true;
    return false;
}
