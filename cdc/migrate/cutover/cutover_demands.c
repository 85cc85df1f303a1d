/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_demands.c - what both servers must have, before the fence: one query each.
 *
 * A query returns the objects that are in the way, as one text, or no row. $1: the stream's tables.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/pq/identifier.h"

#define LIST_BYTES_MAX ((size_t) 64 << 20)

struct demand {
    bool of_from;
    unsigned accepted; /* enum left_behind: not asked when it is */
    unsigned fences;   /* bits of enum cutover_fence for which it holds */
    const char *sql;
    const char *what; /* {side} and {objects} are replaced */
    const char *remedy;
};

#define FENCES_ALL (1u << FENCE_LOCKS | 1u << FENCE_READ_ONLY | 1u << FENCE_EXTERNAL)
#define FENCES_SEALED (1u << FENCE_LOCKS | 1u << FENCE_READ_ONLY)
#define FENCES_UNLOCKED (1u << FENCE_READ_ONLY | 1u << FENCE_EXTERNAL)

#define TABLES_WHERE(condition)                                                                              \
    "select string_agg(t, ', ') from unnest($1::text[]) t left join pg_class c on c.oid = to_regclass(t)"    \
    " where " condition " having count(*) > 0"

#define PLAIN(sql) sql " and $1::text[] is not null"

#define SEAL_SQL                                                                                             \
    PLAIN("select current_user::text from pg_roles r, pg_database d where r.rolname = current_user"          \
          " and d.datname = current_database() and not r.rolsuper and not (pg_has_role(d.datdba, 'usage')"   \
          " and pg_has_role('pg_signal_backend', 'usage'))")
#define SEAL_WHAT                                                                                            \
    "role {objects} may not make the database of the {side} read-only, or not end other sessions"
#define SEAL_REMEDY                                                                                          \
    "let the role own the database or be a member of its owner, and grant pg_signal_backend to it; or set "  \
    "cutover.fence to external"

/* A role's own setting is stronger than that of the database, which the seal is. */
#define WRITERS_SQL                                                                                          \
    PLAIN("select string_agg(distinct r.rolname::text, ', ') from pg_db_role_setting s"                      \
          " join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) c where s.setdatabase in (0,"          \
          " (select oid from pg_database where datname = current_database()))"                               \
          " and c ~* '^default_transaction_read_only=(off|f|n|0)'")                                          \
    " having count(*) > 0"
#define WRITERS_WHAT                                                                                         \
    "the {side}: these roles have default_transaction_read_only set to off, so they could write behind the " \
    "fence: {objects}"
#define WRITERS_REMEDY "alter role … [in database …] reset default_transaction_read_only"

/* Without these there is no way back. */
static const struct demand DEMANDS[] = {
    {false, 0, FENCES_ALL, TABLES_WHERE("c.oid is null"), "the {side} lacks tables: {objects}",
     "create them"},
    {false, 0, FENCES_ALL,
     PLAIN("select current_setting('wal_level') where current_setting('wal_level') <> 'logical'"
           " and current_setting('server_version_num')::int < 190000"),
     "the {side} has wal_level {objects}, so nothing could come back from it",
     "alter system set wal_level = logical; and restart that server"},
    {false, 0, FENCES_ALL,
     PLAIN("select current_setting('max_replication_slots') where (select count(*) from pg_replication_slots)"
           " >= current_setting('max_replication_slots')::int"),
     "the {side} has no free replication slot for the way back: max_replication_slots is {objects}",
     "drop a slot there, or raise max_replication_slots and restart that server"},
    {false, 0, FENCES_ALL,
     PLAIN("select rolname::text from pg_roles where rolname = current_user and not rolsuper and not "
           "rolreplication"),
     "the {side}: role {objects} may not read a stream, so nothing could come back",
     "alter role … replication"},
    {false, 0, FENCES_ALL,
     PLAIN("select current_user::text where not has_database_privilege(current_database(), 'create')"),
     "the {side}: role {objects} may not create the publication of the way back",
     "grant create on the database to it"},
    {false, 0, FENCES_ALL, TABLES_WHERE("c.oid is not null and not pg_has_role(c.relowner, 'usage')"),
     "the {side}: our role does not own tables that the way back publishes: {objects}",
     "grant their owner's role to ours"},
    {false, 0, FENCES_ALL,
     TABLES_WHERE("c.relkind = 'r' and (c.relreplident = 'n' or (c.relreplident = 'd' and not exists"
                  " (select from pg_index i where i.indrelid = c.oid and i.indisprimary)))"),
     "the {side} has tables without a replica identity, whose changes could not come back: {objects}",
     "give them a primary key, or: alter table … replica identity full"},
    {true, 0, FENCES_ALL,
     TABLES_WHERE("not (has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')"
                  " and has_table_privilege(c.oid, 'delete') and has_table_privilege(c.oid, 'select'))"),
     "the {side}: our role may not lock tables, and not write back into them: {objects}",
     "grant select, insert, update, delete on them to it"},
    {true, 0, FENCES_ALL,
     PLAIN("select current_user::text where to_regclass('pgcdc.position') is null"
           " and not has_database_privilege(current_database(), 'create')"),
     "the {side}: role {objects} may not create pgcdc.position for the way back",
     "grant create on the database to it"},
    {true, 0, FENCES_SEALED, SEAL_SQL, SEAL_WHAT, SEAL_REMEDY},
    {false, 0, FENCES_SEALED, SEAL_SQL, SEAL_WHAT, SEAL_REMEDY},
    {true, 0, FENCES_SEALED, WRITERS_SQL, WRITERS_WHAT, WRITERS_REMEDY},
    {true, 0, FENCES_UNLOCKED,
     PLAIN(
         "select string_agg(gid, ', ') from pg_prepared_xacts where database = current_database()") " having "
                                                                                                    "count(*)"
                                                                                                    " > 0",
     "the {side} has prepared transactions, which would commit behind the fence: {objects}",
     "commit them or roll them back"},
    {true, LEFT_LARGE_OBJECTS, FENCES_ALL,
     "select count(*)::text from pg_largeobject_metadata where $1::text[] is not null having count(*) > 0",
     "the {side} has large objects, which are not moved: {objects}",
     "move them, or leave them behind: cutover: {accept_left_behind: [large_objects]}"},
    {true, LEFT_UNLOGGED_TABLES, FENCES_ALL,
     "select string_agg(oid::regclass::text, ', ') from pg_class where relpersistence = 'u' and relkind = 'r'"
     " and $1::text[] is not null having count(*) > 0",
     "the {side} has unlogged tables, whose rows are not moved: {objects}",
     "move them, or leave them behind: cutover: {accept_left_behind: [unlogged_tables]}"},
};

static void append_element(struct buffer *array, const struct buffer *name) {
    buffer_append_text(array, array->size == 0 ? "{\"" : ",\"");
    for (size_t i = 0; i < name->size; i++) {
        if (name->data[i] == '"' || name->data[i] == '\\')
            buffer_append_text(array, "\\");
        buffer_append(array, &name->data[i], 1);
    }
    buffer_append_text(array, "\"");
}

bool cutover_list_tables(struct cutover *cutover, const char **ret_array, struct error *err) {
    struct buffer array AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    struct buffer name AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    for (size_t i = 0; i < cutover->tables.count; i++) {
        buffer_reset(&name);
        identifier_append_qualified(&name, slice_of(cutover->tables.tables[i].schema),
                                    slice_of(cutover->tables.tables[i].name));
        array.failed = array.failed || !buffer_ok(&name);
        append_element(&array, &name);
    }
    buffer_append_text(&array, array.size == 0 ? "{}" : "}");
    *ret_array = buffer_ok(&array) ? arena_copy(&cutover->arena, buffer_slice(&array)) : NULL;
    return *ret_array != NULL ? true : error_no_memory(err);
}

static void append_what(struct buffer *text, const char *what, const char *side, const char *objects) {
    while (*what != '\0') {
        const bool is_side = strncmp(what, "{side}", 6) == 0;
        const bool is_objects = strncmp(what, "{objects}", 9) == 0;
        if (is_side)
            buffer_append_text(text, side);
        else if (is_objects)
            buffer_printf(text, "%.900s", objects);
        else
            buffer_append(text, what, 1);
        what += is_side ? 6 : is_objects ? 9 : 1;
    }
}

static bool check_demand(struct cutover *cutover, const struct demand *demand, const char *tables,
                         struct error *err) {
    struct session *session = demand->of_from ? &cutover->from : &cutover->to;
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(session, demand->sql, 1, &tables,
                       &(const struct result_shape){"a demand of the cutover", 0, 1, 1, 1u}, &rows, err))
        return false;
    if (PQntuples(rows) == 0 || PQgetisnull(rows, 0, 0))
        return true;
    struct buffer text AUTO(buffer_release) = {.bytes_max = ERROR_TEXT_MAX};
    append_what(&text, demand->what, cutover_side(cutover, demand->of_from), PQgetvalue(rows, 0, 0));
    error_set(err, ERROR_REFUSE, "%s", buffer_text(&text) != NULL ? text.data : demand->what);
    return error_remedy(err, "%s", demand->remedy);
}

bool cutover_check_demands(struct cutover *cutover, struct error *err) {
    const struct cutover_config *config = &cutover->config->cutover;
    const char *tables = NULL;
    if (!cutover_list_tables(cutover, &tables, err))
        return false;
    for (size_t i = 0; i < sizeof DEMANDS / sizeof DEMANDS[0]; i++)
        if ((DEMANDS[i].accepted & config->accepted) == 0 && (DEMANDS[i].fences & 1u << config->fence) != 0 &&
            !check_demand(cutover, &DEMANDS[i], tables, err))
            return false;
    return true;
}
