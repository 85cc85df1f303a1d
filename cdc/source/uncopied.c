/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied.c - looks for one old row at the source, and for its key at the target.
 *
 * A partition that is attached with rows is published from then on, as a table that is added is.
 *
 * A row's age is that of its xmin; a table's publication is as old as the xmin of its entry. A row with an
 * older xid that committed later is assumed to be in the stream; so is an old row that is not among the first
 * rows of the table.
 *
 * While the pipeline runs, the row may really be in the stream, so the target is queried only once its sink
 * has caught up.
 */
#include "cdc/source/uncopied_parts.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/shell_word.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/catalog.h"
#include "cdc/source/source.h"

#define SQL_BYTES_MAX (1u << 20)
#define ARENA_BYTES_MAX ((size_t) 512 << 20)
#define LOCK_NOT_AVAILABLE "55P03"

enum {
    LOOKS = 2, /* the row may have been deleted between the two queries */
};

/*
 * When the table, a root above it or its schema was published. A publication for all tables has no entries. A
 * partition is published by its root's entry only since it is attached: then that is when.
 */
static const char ENTRY[] =
    "with above as (select * from pg_partition_ancestors($2::oid::regclass) with ordinality a (relid, "
    "place)),"
    " entry as (select r.xmin, r.cmin, coalesce((select place from above where relid = r.prrelid), 0) as "
    "place,"
    "   r.prrelid = $2::oid or r.prrelid in (select relid from above) as covers, r.prpubid as id"
    "  from pg_publication_rel r%s)"
    " select s.xmin, s.cmin from entry e join pg_publication p on p.oid = e.id cross join lateral ("
    "  select x.xmin, x.cmin from (select e.xmin, e.cmin union all select i.xmin, i.cmin from above a"
    "   join pg_inherits i on i.inhrelid = a.relid where a.place < e.place) x (xmin, cmin)"
    "  order by age(x.xmin), x.cmin::text::bigint desc limit 1) s"
    " where p.pubname = any ($1::name[]) and e.covers"
    " and not exists (select from pg_publication where pubname = any ($1::name[]) and puballtables)"
    " and ($3::text is null or age(s.xmin) <= age($3::text::xid8::xid))"
    " order by age(s.xmin) desc, s.cmin::text::bigint limit 1";

static const char SCHEMA_ENTRY[] =
    " union all select s.xmin, s.cmin, 0, s.pnnspid = (select relnamespace from "
    "pg_class where oid = $2::oid), s.pnpubid"
    " from pg_publication_namespace s";

const struct table_column *uncopied_key_column(const struct table *table, uint32_t place) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].key_index == place)
            return &table->columns[i];
    return NULL;
}

bool uncopied_ask(struct uncopied_question *question, struct session *session, const char *sql, int count,
                  const char *const *parameters, int columns, PGresult **ret_rows, struct error *ret_answer,
                  struct error *err) {
    const struct result_shape shape = {"the query for old rows", 0, RESULT_ROWS_ANY, columns, 0};
    *ret_answer = (struct error){0};
    if (session_query(session, sql, count, parameters, &shape, ret_rows, ret_answer))
        return true;
    question->is_open = question->is_open || strcmp(ret_answer->sqlstate, LOCK_NOT_AVAILABLE) == 0;
    if (ret_answer->sqlstate[0] != '\0')
        return true;
    *err = *ret_answer;
    return false;
}

bool uncopied_read_entry(struct uncopied_question *question, const struct table *table, const char *since_xid,
                         PGresult **ret_entry, struct error *err) {
    char sql[2048], oid[16];
    struct error answer;
    snprintf(sql, sizeof sql, ENTRY, question->source->server_version >= 150000 ? SCHEMA_ENTRY : "");
    snprintf(oid, sizeof oid, "%u", table->oid);
    const char *parameters[] = {question->publications, oid, since_xid};
    return uncopied_ask(question, question->source, sql, 3, parameters, 2, ret_entry, &answer, err);
}

void uncopied_append_old(struct buffer *sql, const struct table *table, const char *rows_sql,
                         const char *xmin, const char *cmin) {
    buffer_append_text(sql, "select ");
    for (uint32_t place = 1; place <= table->key_count && uncopied_key_column(table, place) != NULL;
         place++) {
        identifier_append(sql, slice_of(uncopied_key_column(table, place)->name));
        buffer_append_text(sql, "::text, ");
    }
    buffer_printf(
        sql,
        "'%s' from (select *, xmin as pgcdc_xmin, cmin as pgcdc_cmin from %s limit 100) old where (%s) and"
        " (age(pgcdc_xmin) > age('%s'::xid) or pgcdc_xmin = '%s'::xid and pgcdc_cmin::text::bigint < "
        "'%s'::bigint)"
        " limit 1",
        xmin, rows_sql, table->row_filter_sql != NULL ? table->row_filter_sql : "true", xmin, xmin, cmin);
}

static void append_rows(struct buffer *sql, const struct table *table) {
    buffer_append_text(sql, table->kind == 'p' ? "" : "only ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
}

bool uncopied_read_old(struct uncopied_question *question, const struct table *table, const PGresult *entry,
                       PGresult **ret_old, struct error *err) {
    struct buffer rows AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct error answer;
    append_rows(&rows, table);
    if (buffer_text(&rows) == NULL)
        return error_no_memory(err);
    uncopied_append_old(&sql, table, rows.data, PQgetvalue(entry, 0, 0), PQgetvalue(entry, 0, 1));
    return buffer_text(&sql) != NULL ? uncopied_ask(question, question->source, sql.data, 0, NULL,
                                                    (int) table->key_count + 1, ret_old, &answer, err)
                                     : error_no_memory(err);
}

/* Every row that the source returned was committed before this LSN. */
static bool read_end(struct session *source, lsn_t *ret_lsn, struct error *err) {
    static const struct result_shape SHAPE = {"the query for the end of its WAL", 1, 1, 1, 0};
    PGresult *result AUTO_PGRESULT = NULL;
    static const char SQL[] =
        "select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()"
        " else pg_catalog.pg_current_wal_insert_lsn() end";
    if (!session_query(source, SQL, 0, NULL, &SHAPE, &result, err))
        return false;
    return lsn_parse(PQgetvalue(result, 0, 0), ret_lsn) ||
           error_set(err, ERROR_PROTOCOL, "source: unexpected answer to the query for the end of its WAL");
}

/*
 * A target that is being written to is queried only once it has everything that the source had committed when
 * it returned the row.
 */
bool uncopied_ask_written(struct uncopied_question *question, const struct table *table, const PGresult *old,
                          int row, bool *ret_lacks, struct error *err) {
    lsn_t end_lsn = 0;
    if (!uncopied_ask_target(question, table, old, row, ret_lacks, err))
        return false;
    if (!*ret_lacks || question->reaches == NULL)
        return true;
    *ret_lacks = false;
    if (question->is_open)
        return true; /* all of it is asked again */
    if (!read_end(question->source, &end_lsn, err))
        return false;
    if (question->reaches(question->context, end_lsn))
        return uncopied_ask_target(question, table, old, row, ret_lacks, err);
    question->is_open = true;
    return true;
}

bool uncopied_has_whole_key(const struct table *table) {
    for (uint32_t place = 1; place <= table->key_count; place++)
        if (place > UNCOPIED_KEYS_MAX || uncopied_key_column(table, place) == NULL)
            return false;
    return true;
}

static bool look_once(struct uncopied_question *question, const PGresult *entry, const struct table *table,
                      bool *ret_lacks, struct error *err) {
    PGresult *old AUTO_PGRESULT = NULL;
    *ret_lacks = false;
    if (!uncopied_read_old(question, table, entry, &old, err))
        return false;
    return old == NULL || PQntuples(old) == 0 ||
           uncopied_ask_written(question, table, old, 0, ret_lacks, err);
}

/* Is its own entry, or its root's, younger than rows of it? */
static bool look_published(struct uncopied_question *question, const struct table *table, bool *ret_lacks,
                           struct error *err) {
    PGresult *entry AUTO_PGRESULT = NULL;
    if (!uncopied_read_entry(question, table, question->since_xid, &entry, err))
        return false;
    if (entry == NULL || PQntuples(entry) == 0)
        return true;
    *ret_lacks = true;
    for (int i = 0; i < LOOKS && *ret_lacks; i++)
        if (!look_once(question, entry, table, ret_lacks, err))
            return false;
    return true;
}

bool uncopied_look(struct uncopied_question *question, const struct table *table, bool *ret_lacks,
                   struct error *err) {
    *ret_lacks = false;
    if (!uncopied_has_whole_key(table))
        return true;
    if (!look_published(question, table, ret_lacks, err))
        return false;
    return *ret_lacks || table->kind != 'p' || uncopied_look_attached(question, table, ret_lacks, err);
}

/* ---- before a start continues a pipeline ---- */

static bool can_copy(const struct config *config, const struct session *source) {
    bool can = !session_is_standby(source);
    for (size_t i = 0; i < config->sink_count; i++)
        can = can && sink_adds_tables(config->sinks[i].ops);
    return can;
}

void uncopied_append_remedy(struct buffer *remedy, const struct config *config, const struct session *source,
                            const struct table *table) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
    identifier_append_qualified(&name, slice_of(table->schema), slice_of(table->name));
    if (can_copy(config, source) && buffer_text(&name) != NULL)
        buffer_printf(remedy, "`pgcdc table copy -c %s %s` copies them; or ",
                      shell_word_of_file(config->path).text, shell_word(name.data).text);
    buffer_append_text(remedy, UNCOPIED_REMEDY);
}

static bool refuse_table(const struct config *config, const struct session *source, const struct table *table,
                         struct error *err) {
    struct buffer remedy AUTO(buffer_release) = {.bytes_max = ERROR_REMEDY_MAX};
    struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
    identifier_append_printable_qualified(&name, slice_of(table->schema), slice_of(table->name));
    const char *text = buffer_text(&name);
    error_set(err, ERROR_CONFIG, "table %s " UNCOPIED_TEXT, text != NULL ? text : table->name);
    error_finding(err, "target_old_rows");
    uncopied_append_remedy(&remedy, config, source, table);
    return error_remedy(err, "%s", buffer_text(&remedy) != NULL ? remedy.data : UNCOPIED_REMEDY);
}

void uncopied_found_add(struct uncopied_found *found, oid_t oid) {
    for (size_t i = 0; i < found->count; i++)
        if (found->oids[i] == oid)
            return;
    if (found->count < UNCOPIED_FOUND_MAX)
        found->oids[found->count++] = oid;
}

/* The tables' definitions, the question for the source's side, and the sinks whose targets are queried. */
struct refusing {
    const struct config *config;
    struct uncopied_found *found; /* or NULL */
    const atomic_bool *stop;
    struct table_list tables;
    struct uncopied_question question;
    const struct uncopied_sinks *sinks; /* that are written to, or NULL */
};

/* Such a table lacks rows as long as it is copied. */
static bool is_planned(const struct refusing *refusing, size_t sink, oid_t oid) {
    return refusing->found != NULL && chunk_plan_has(&refusing->found->plans[sink], oid);
}

/* refusing->found collects the tables; NULL: the first one is an error. */
static bool refuse_tables(struct refusing *refusing, size_t sink, struct error *err) {
    for (size_t i = 0; i < refusing->tables.count; i++) {
        const struct table *table = &refusing->tables.tables[i];
        bool lacks = false;
        if (is_planned(refusing, sink, table->oid))
            continue;
        if (!uncopied_look(&refusing->question, table, &lacks, err))
            return false;
        if (lacks && refusing->found == NULL)
            return refuse_table(refusing->config, refusing->question.source, table, err);
        if (lacks)
            uncopied_found_add(refusing->found, table->oid);
    }
    return true;
}

/* The arguments for waiting until a sink has caught up. */
struct awaited {
    const struct uncopied_sinks *sinks;
    size_t index;
};

static bool awaited_reaches(void *context, lsn_t lsn) {
    const struct awaited *awaited = context;
    return awaited->sinks->reaches(awaited->sinks->context, awaited->index, lsn);
}

static bool refuse_of_sink(struct refusing *refusing, size_t index, struct error *err) {
    const struct config_sink *sink = &refusing->config->sinks[index];
    struct session_options options = {.stop = refusing->stop};
    struct session target = {0};
    struct awaited awaited = {.sinks = refusing->sinks, .index = index};
    sink->ops->admin->target(&sink->sink, &options);
    refusing->question.target = &target;
    refusing->question.sink = &sink->sink;
    refusing->question.context = &awaited;
    refusing->question.reaches = refusing->sinks != NULL ? awaited_reaches : NULL;
    bool opened = session_open(&target, &options, err);
    if (!opened && refusing->sinks != NULL)
        err->kind = ERROR_RETRY; /* a failed connection to the sink is reported by the sink itself */
    bool looked = opened && session_execute(&target, "set lock_timeout = '1s'", err) &&
                  refuse_tables(refusing, index, err);
    session_close(&target);
    return looked;
}

bool uncopied_can_ask(const struct config_sink *sink) {
    return sink_admin(sink->ops, target) != NULL;
}

bool uncopied_matters(const struct config_sink *sink) {
    const char *on_missing = sink_config_find(&sink->sink, "on_missing");
    return uncopied_can_ask(sink) && (on_missing == NULL || strcmp(on_missing, "stop") == 0);
}

/* A definition that cannot be read now does not stop a pipeline. */
static bool refuse_with(struct refusing *refusing, struct error *err) {
    struct uncopied_question *question = &refusing->question;
    const struct config *config = refusing->config;
    struct error answer = {0};
    struct arena arena;
    bool good = true;
    arena_init(&arena, 65536, ARENA_BYTES_MAX);
    question->publications = config->source.publication_array;
    if (!catalog_read_tables(question->source, question->publications, &arena, &refusing->tables, &answer))
        question->is_open = true;
    for (size_t i = 0; i < config->sink_count; i++)
        if (good && uncopied_matters(&config->sinks[i]))
            good = refuse_of_sink(refusing, i, err);
    arena_release(&arena);
    return good;
}

bool uncopied_wants_rows(const struct config *config) {
    return config->source.snapshot == SNAPSHOT_INITIAL && config->copy.new_tables != NEW_TABLES_STREAM;
}

bool uncopied_find(const struct config *config, struct session *source, const atomic_bool *stop,
                   struct uncopied_found *found, struct error *err) {
    struct refusing refusing = {
        .config = config, .found = found, .stop = stop, .question = {.source = source}};
    found->count = 0;
    return !uncopied_wants_rows(config) ||
           (session_execute(source, "set lock_timeout = '1s'", err) && refuse_with(&refusing, err) &&
            session_execute(source, "reset lock_timeout", err));
}

/* On the caller's session, because a role may have a connection limit. */
bool uncopied_refuse(const struct config *config, struct session *source, const atomic_bool *stop,
                     struct error *err) {
    struct refusing refusing = {.config = config, .stop = stop, .question = {.source = source}};
    if (!uncopied_wants_rows(config))
        return true;
    return session_execute(source, "set lock_timeout = '1s'", err) && refuse_with(&refusing, err) &&
           session_execute(source, "reset lock_timeout", err);
}

/* ---- while it runs ---- */

bool uncopied_read_newcomers(struct session *source, const char *publications, const char *since_xid,
                             bool *ret_some, struct uncopied_moment *moment, struct error *err) {
    static const char SQL[] =
        "select pg_snapshot_xmin(pg_current_snapshot()), $2::text is not null and "
        "(exists (select from (select prpubid as id, xmin as since"
        " from pg_publication_rel%s) e join pg_publication p on p.oid = e.id where "
        "p.pubname = any ($1::name[])"
        " and age(e.since) <= age($2::text::xid8::xid))"
        " or exists (select from pg_inherits where age(xmin) <= age($2::text::xid8::xid)))";
    static const struct result_shape SHAPE = {"the query for new tables", 1, 1, 2, 0};
    PGresult *result AUTO_PGRESULT = NULL;
    const char *parameters[] = {publications, since_xid};
    char sql[1024];
    snprintf(sql, sizeof sql, SQL,
             source->server_version >= 150000
                 ? " union all select pnpubid, xmin from pg_publication_namespace"
                 : "");
    if (!session_query(source, sql, 2, parameters, &SHAPE, &result, err))
        return false;
    snprintf(moment->xid, sizeof moment->xid, "%s", PQgetvalue(result, 0, 0));
    *ret_some = result_is_true(result, 0, 1);
    return true;
}

bool uncopied_moment_read(struct session *source, struct uncopied_moment *ret_moment, struct error *err) {
    bool some = false;
    return uncopied_read_newcomers(source, "{}", NULL, &some, ret_moment, err);
}

bool uncopied_refuse_newcomers(const struct config *config, struct session *source,
                               const struct uncopied_sinks *sinks, struct uncopied_moment *moment,
                               const atomic_bool *stop, struct error *err) {
    struct uncopied_moment now = {0};
    struct refusing refusing = {
        .config = config, .stop = stop, .sinks = sinks, .question = {.source = source}};
    bool some = false;
    if (!uncopied_wants_rows(config))
        return true;
    refusing.question.since_xid = moment->xid[0] != '\0' ? moment->xid : NULL;
    if (!uncopied_read_newcomers(source, config->source.publication_array, refusing.question.since_xid, &some,
                                 &now, err) ||
        !session_execute(source, "set lock_timeout = '1s'", err) || (some && !refuse_with(&refusing, err)))
        return false;
    if (!refusing.question.is_open)
        *moment = now;
    return true;
}
