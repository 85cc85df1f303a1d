/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence_side.c - pg_sequences hides the value of a sequence that was never used, so each one is read
 * itself, many with one query.
 */
#include "cdc/sequences/sequence_side.h"

#include <stdlib.h>

#include "cdc/pq/identifier.h"

/* Of sequences that are read with one query: a server plans so many branches in milliseconds. */
#define GROUP_MAX 200
#define SQL_BYTES_MAX ((size_t) 1 << 20)

#define LIST_OF(rights)                                                                                      \
    "select n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,"                           \
    " coalesce(has_schema_privilege(n.oid, 'usage') and " rights ", false)"                                  \
    " from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = "              \
    "c.relnamespace"                                                                                         \
    " where n.nspname not in ('pg_catalog', 'information_schema', 'pgcdc') and n.nspname !~ '^pg_temp_'"

#define ORDERED " order by n.nspname collate \"C\", c.relname collate \"C\""

/* In a schema of a published table, or the default or identity of one of its columns. */
#define OF_PUBLISHED                                                                                         \
    " and (n.nspname in (select schemaname from pg_publication_tables where pubname = any ($1::name[]))"     \
    " or c.oid in (select d.refobjid from pg_depend d join pg_attrdef a on a.oid = d.objid"                  \
    "  where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass"                     \
    "  and a.adrelid in (select format('%I.%I', schemaname, tablename)::regclass from pg_publication_tables" \
    "   where pubname = any ($1::name[]))))"

static bool take_entry(const PGresult *rows, int row, struct arena *arena, struct sequence_entry *entry) {
    entry->schema = arena_copy(arena, slice_of(PQgetvalue(rows, row, 0)));
    entry->name = arena_copy(arena, slice_of(PQgetvalue(rows, row, 1)));
    entry->range = (struct sequence_range){.increment = strtoll(PQgetvalue(rows, row, 2), NULL, 10),
                                           .min = strtoll(PQgetvalue(rows, row, 3), NULL, 10),
                                           .max = strtoll(PQgetvalue(rows, row, 4), NULL, 10),
                                           .cycles = result_is_true(rows, row, 5)};
    entry->is_readable = result_is_true(rows, row, 6);
    return entry->schema != NULL && entry->name != NULL;
}

static bool list(struct session *session, const char *sql, const char *publications, struct arena *arena,
                 struct sequence_side *ret_side, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    const struct result_shape shape = {"the sequences", 0, RESULT_ROWS_ANY, 7, 0};
    if (!session_query(session, sql, publications != NULL ? 1 : 0, &publications, &shape, &rows, err))
        return false;
    const int count = PQntuples(rows);
    *ret_side =
        (struct sequence_side){.entries = arena_alloc_zero(arena, (size_t) count * sizeof *ret_side->entries),
                               .count = (size_t) count};
    if (ret_side->entries == NULL)
        return error_no_memory(err);
    for (int i = 0; i < count; i++)
        if (!take_entry(rows, i, arena, &ret_side->entries[i]))
            return error_no_memory(err);
    return true;
}

bool sequence_side_list_source(struct session *source, const struct sequence_terms *terms,
                               struct arena *arena, struct sequence_side *ret_side, struct error *err) {
    const bool takes_all = terms->config->follow == SEQUENCES_ALL;
    return list(source,
                takes_all ? LIST_OF("has_sequence_privilege(c.oid, 'select')") ORDERED
                          : LIST_OF("has_sequence_privilege(c.oid, 'select')") OF_PUBLISHED ORDERED,
                takes_all ? NULL : terms->publications, arena, ret_side, err);
}

bool sequence_side_list_target(struct session *target, struct arena *arena, struct sequence_side *ret_side,
                               struct error *err) {
    return list(target,
                LIST_OF("has_sequence_privilege(c.oid, 'select') and has_sequence_privilege(c.oid, 'update')")
                    ORDERED,
                NULL, arena, ret_side, err);
}

/* ---- places ---- */

static size_t append_group(const struct sequence_side *side, size_t from, struct buffer *sql) {
    size_t taken = 0, i = from;
    buffer_reset(sql);
    for (; i < side->count && taken < GROUP_MAX; i++) {
        const struct sequence_entry *entry = &side->entries[i];
        if (!entry->is_wanted || !entry->is_readable)
            continue;
        buffer_printf(sql, "%sselect %zu, last_value, is_called from ", taken++ > 0 ? " union all " : "", i);
        identifier_append_qualified(sql, slice_of(entry->schema), slice_of(entry->name));
    }
    return i;
}

static bool read_group(struct session *session, struct sequence_side *side, struct buffer *sql,
                       struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    const struct result_shape shape = {"the values of sequences", 0, GROUP_MAX, 3, 0};
    if (!session_query(session, buffer_text(sql), 0, NULL, &shape, &rows, err))
        return false;
    for (int i = 0; i < PQntuples(rows); i++) {
        const size_t entry = strtoull(PQgetvalue(rows, i, 0), NULL, 10);
        if (entry >= side->count)
            return error_set(err, ERROR_PROTOCOL, "%s: a value of a sequence that was not asked for",
                             session->peer);
        side->entries[entry].place = (struct sequence_place){
            .last_value = strtoll(PQgetvalue(rows, i, 1), NULL, 10), .is_called = result_is_true(rows, i, 2)};
    }
    return true;
}

bool sequence_side_read_places(struct session *session, struct sequence_side *side, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    for (size_t from = 0; from < side->count;) {
        from = append_group(side, from, &sql);
        if (buffer_text(&sql) == NULL)
            return error_no_memory(err);
        if (sql.size > 0 && !read_group(session, side, &sql, err))
            return false;
    }
    return true;
}
