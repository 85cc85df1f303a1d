/* SPDX-License-Identifier: Apache-2.0 */
/*
 * needs.c - asks the target for roles and extensions.
 */
#include "cdc/migrate/schema/needs.h"

#include <string.h>

#include "cdc/migrate/schema/names.h"
#include "cdc/pq/identifier.h"

enum { SHOWN_BYTES_MAX = 512 };

/* Calls with the waiting objects, builds the list, and asks. */
typedef bool names_of(struct names *names, const struct object *object);

static bool ask_target(struct sides *sides, names_of *of, const char *sql, PGresult **ret_rows,
                       struct error *err) {
    struct names names;
    bool is_good = true;
    names_init(&names);
    for (size_t i = 0; i < sides->at_source.count && is_good; i++) {
        const struct object *object = &sides->at_source.objects[i];
        if (!object->is_left_out && object->state == OBJECT_WAITING)
            is_good = of(&names, object);
    }
    const char *array = is_good ? names_end(&names) : NULL;
    is_good = array != NULL
                  ? session_query(&sides->target, sql, 1, &array,
                                  &(const struct result_shape){"the query for what the target lacks", 0,
                                                               RESULT_ROWS_ANY, 1, 0},
                                  ret_rows, err)
                  : error_no_memory(err);
    names_release(&names);
    return is_good;
}

/* "a", "b" and 7 more */
static const char *list_rows(const PGresult *rows, struct buffer *text) {
    int row = 0;
    for (; row < PQntuples(rows) && text->size < SHOWN_BYTES_MAX / 2; row++) {
        if (row > 0)
            buffer_append_text(text, ", ");
        identifier_append_printable(text, slice_of(PQgetvalue(rows, row, 0)));
    }
    if (row < PQntuples(rows))
        buffer_printf(text, " and %d more", PQntuples(rows) - row);
    const char *list = buffer_text(text);
    return list != NULL ? list : "?";
}

/* ---- roles ---- */

static bool roles_of(struct names *names, const struct object *object) {
    if (object->owner[0] != '\0')
        names_add(names, slice_of(object->owner));
    return object_each_role(object, names_add, names);
}

static bool owners_of(struct names *names, const struct object *object) {
    return object->owner[0] == '\0' || names_add(names, slice_of(object->owner));
}

static bool check_roles(struct sides *sides, struct error *err) {
    static const char SQL[] =
        "select distinct r from pg_catalog.unnest($1::text[]) r where r not in"
        " (select rolname from pg_catalog.pg_roles union all select 'public') order by 1";
    PGresult *rows AUTO_PGRESULT = NULL;
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, 1 << 16);
    if (!ask_target(sides, roles_of, SQL, &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    error_set(err, ERROR_CONFIG, "the target lacks %s that owners or rights name: %s",
              PQntuples(rows) == 1 ? "a role" : "roles", list_rows(rows, &text));
    return error_remedy(err,
                        "set migrate.roles to create, which makes them; or create each at the target; or set "
                        "schema.owners and schema.grants to no");
}

static bool check_owners(struct sides *sides, struct error *err) {
    static const char SQL[] =
        "select distinct r.rolname::text from pg_catalog.pg_roles r where r.rolname = any ($1::name[])"
        " and not pg_catalog.pg_has_role(r.oid, 'member') order by 1";
    PGresult *rows AUTO_PGRESULT = NULL;
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, 1 << 16);
    if (!ask_target(sides, owners_of, SQL, &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    error_set(err, ERROR_CONFIG, "the target's role %s may not give objects to %s",
              PQuser(sides->target.conn), list_rows(rows, &text));
    return error_remedy(err,
                        "make it a member at the target (grant NAME to %s), use a superuser for the schema, "
                        "or set schema.owners to no",
                        PQuser(sides->target.conn));
}

/* ---- extensions ---- */

static bool extensions_of(struct names *names, const struct object *object) {
    return strcmp(object->kind, "EXTENSION") != 0 || names_add(names, slice_of(object->name));
}

static bool check_extensions(struct sides *sides, struct error *err) {
    static const char SQL[] = "select e from pg_catalog.unnest($1::text[]) e where e not in"
                              " (select name from pg_catalog.pg_available_extensions) order by 1";
    PGresult *rows AUTO_PGRESULT = NULL;
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, 1 << 16);
    if (!ask_target(sides, extensions_of, SQL, &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    error_set(err, ERROR_CONFIG, "the target's server does not have the extension%s %s",
              PQntuples(rows) == 1 ? "" : "s", list_rows(rows, &text));
    return error_remedy(err, "install its files on the target's server, or drop the extension at the source");
}

bool needs_check(struct sides *sides, struct error *err) {
    return check_extensions(sides, err) && check_roles(sides, err) && check_owners(sides, err);
}
