/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied_published.c - tables that were published since a snapshot, for sinks that cannot be asked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/shell_word.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/uncopied_parts.h"

static bool read_now(struct session *source, struct xid_snapshot *ret_now, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(source, "select pg_catalog.pg_current_snapshot()", 0, NULL,
                       &(const struct result_shape){"the query for a snapshot", 1, 1, 1, 0}, &result, err))
        return false;
    return xid_snapshot_parse(PQgetvalue(result, 0, 0), ret_now) ||
           error_set(err, ERROR_PROTOCOL, "source: unexpected answer to the query for a snapshot");
}

/* An xid that seems to be of the future is older than half of all xids. */
static bool is_since(const char *text, const struct xid_snapshot *since, const struct xid_snapshot *now) {
    const uint64_t xid = xid_widen((xid_t) strtoul(text, NULL, 10), since->xmax);
    return xid < now->xmax && !xid_snapshot_sees(since, xid);
}

/* What the server refuses must not end the caller's transaction. */
static bool has_old_row(struct uncopied_question *question, const struct table *table, const PGresult *entry,
                        bool *ret_old, struct error *err) {
    PGresult *old AUTO_PGRESULT = NULL;
    if (!session_execute(question->source, "savepoint pgcdc", err) ||
        !uncopied_read_old(question, table, entry, &old, err))
        return false;
    *ret_old = old != NULL && PQntuples(old) > 0;
    return session_execute(question->source, "rollback to savepoint pgcdc", err);
}

static bool is_published_since(struct uncopied_question *question, const struct table *table,
                               const struct xid_snapshot *since, const struct xid_snapshot *now,
                               bool *ret_newcomer, struct error *err) {
    PGresult *entry AUTO_PGRESULT = NULL;
    if (!uncopied_read_entry(question, table, NULL, &entry, err))
        return false;
    if (entry == NULL || PQntuples(entry) == 0 || !is_since(PQgetvalue(entry, 0, 0), since, now))
        return true;
    return has_old_row(question, table, entry, ret_newcomer, err);
}

/* The last column of such a row is when its partition was attached. */
static bool is_attached_since(struct uncopied_question *question, const struct table *table,
                              const struct xid_snapshot *since, const struct xid_snapshot *now,
                              bool *ret_newcomer, struct error *err) {
    PGresult *old AUTO_PGRESULT = NULL;
    if (!session_execute(question->source, "savepoint pgcdc", err) ||
        !uncopied_read_attached(question, table, &old, err))
        return false;
    for (int row = 0; old != NULL && row < PQntuples(old); row++)
        *ret_newcomer |= is_since(PQgetvalue(old, row, (int) table->key_count), since, now);
    return session_execute(question->source, "rollback to savepoint pgcdc", err);
}

static bool is_newcomer(struct uncopied_question *question, const struct table *table,
                        const struct xid_snapshot *since, const struct xid_snapshot *now, bool *ret_newcomer,
                        struct error *err) {
    *ret_newcomer = false;
    if (!uncopied_has_whole_key(table))
        return true;
    if (!is_published_since(question, table, since, now, ret_newcomer, err))
        return false;
    return *ret_newcomer || table->kind != 'p' ||
           is_attached_since(question, table, since, now, ret_newcomer, err);
}

static bool choose_newcomers(struct uncopied_question *question, const struct xid_snapshot *since,
                             const struct xid_snapshot *now, struct arena *arena, struct table_list *ret_list,
                             struct error *err) {
    struct table_list all = {0};
    if (!catalog_read_tables(question->source, question->publications, arena, &all, err))
        return false;
    struct table *tables = arena_alloc(arena, (all.count + 1) * sizeof *tables);
    size_t count = 0;
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < all.count; i++) {
        bool is_new = false;
        if (!is_newcomer(question, &all.tables[i], since, now, &is_new, err))
            return false;
        if (is_new)
            tables[count++] = all.tables[i];
    }
    *ret_list = (struct table_list){.tables = tables, .count = count};
    return true;
}

bool uncopied_find_published(const struct config *config, struct session *source,
                             const struct xid_snapshot *since, struct arena *arena,
                             struct uncopied_published *ret_published, struct error *err) {
    const char *publications = config->source.publication_array;
    char since_xid[24];
    struct uncopied_question question = {
        .source = source, .publications = publications, .since_xid = since_xid};
    struct uncopied_moment moment = {0};
    bool some = false;
    *ret_published = (struct uncopied_published){0};
    if (!read_now(source, &ret_published->now, err))
        return false;
    if (since->xmax == 0)
        return true;
    snprintf(since_xid, sizeof since_xid, "%" PRIu64, since->xmin);
    const bool found = session_execute(source, "set local lock_timeout = '1s'", err) &&
                       uncopied_read_newcomers(source, publications, since_xid, &some, &moment, err) &&
                       (!some || choose_newcomers(&question, since, &ret_published->now, arena,
                                                  &ret_published->tables, err));
    if (found && !question.is_open)
        return true;
    xid_snapshot_release(&ret_published->now);
    ret_published->now = (struct xid_snapshot){0};
    return found;
}

bool uncopied_refuse_published(const struct config *config, const struct table *table, struct error *err) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
    struct buffer sql_name AUTO(buffer_release) = {.bytes_max = 4096};
    identifier_append_printable_qualified(&name, slice_of(table->schema), slice_of(table->name));
    identifier_append_qualified(&sql_name, slice_of(table->schema), slice_of(table->name));
    if (buffer_text(&name) == NULL || buffer_text(&sql_name) == NULL)
        return error_no_memory(err);
    error_set(err, ERROR_CONFIG,
              "table %s has rows that are older than its publication, and no sink that appends has them: a "
              "table that is added later, or a partition that is attached, has no initial copy",
              name.data);
    error_finding(err, "target_old_rows");
    if (!table_has_message_key(table))
        return error_remedy(err, UNCOPIED_KEYLESS_REMEDY ", or set copy.new_tables: stream");
    return error_remedy(err,
                        "`pgcdc table copy -c %s %s` copies them; or, if these rows are not wanted, set "
                        "copy.new_tables: stream",
                        shell_word_of_file(config->path).text, shell_word(sql_name.data).text);
}
