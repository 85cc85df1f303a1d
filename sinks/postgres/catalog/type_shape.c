/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_shape.c - the query for the base types of a table's columns.
 */
#include "sinks/postgres/catalog/type_shape.h"

#include <stdlib.h>

/*
 * A domain's modifier applies unless the column or a domain above it has one; an array's modifier is that of
 * its elements. An array has no array type of its own, but int2vector and oidvector have.
 */
#define SHAPES                                                                                               \
    " select k.place, a.attname, n.nspname, t.typname, bn.nspname, bt.typname, b.is_array, b.modifier,"      \
    " bt.typtype = 'e', pg_catalog.format_type(a.atttypid, a.atttypmod),"                                    \
    " pg_catalog.format_type(b.oid, b.modifier) || case when b.is_array then '[]' else '' end"               \
    " from tables k join pg_catalog.pg_attribute a on a.attrelid = k.oid and a.attnum > 0 and not "          \
    "a.attisdropped"                                                                                         \
    " join pg_catalog.pg_type t on t.oid = a.atttypid"                                                       \
    " join pg_catalog.pg_namespace n on n.oid = t.typnamespace"                                              \
    " cross join lateral (with recursive base (oid, modifier, is_array, depth) as ("                         \
    "   select t.oid, a.atttypmod, false, 0 union all"                                                       \
    "   select case u.typtype when 'd' then u.typbasetype else u.typelem end,"                               \
    "    case when u.typtype = 'd' and base.modifier = -1 then u.typtypmod else base.modifier end,"          \
    "    base.is_array or u.typtype <> 'd', base.depth + 1"                                                  \
    "   from base join pg_catalog.pg_type u on u.oid = base.oid where u.typtype = 'd'"                       \
    " or (u.typelem <> 0 and u.typarray = 0"                                                                 \
    " and u.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc))"                       \
    "  select base.* from base order by base.depth desc limit 1) b"                                          \
    " join pg_catalog.pg_type bt on bt.oid = b.oid"                                                          \
    " join pg_catalog.pg_namespace bn on bn.oid = bt.typnamespace order by k.place, a.attnum"

static const char BY_OID[] = "with tables (oid, place) as (select * from "
                             "pg_catalog.unnest($1::pg_catalog.oid[]) with ordinality)" SHAPES;

static const char BY_NAME[] = "with tables (oid, place) as (select c.oid, 1 from pg_catalog.pg_class c"
                              "  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = "
                              "$1 and c.relname = $2)" SHAPES;

static const struct result_shape SHAPE = {"the query for types", 0, RESULT_ROWS_ANY, 11, 0};

bool type_shapes_read(struct session *session, const char *oids, PGresult **ret_shapes, struct error *err) {
    return session_query(session, BY_OID, 1, &oids, &SHAPE, ret_shapes, err);
}

bool type_shapes_read_table(struct session *session, const char *schema, const char *name,
                            PGresult **ret_shapes, struct error *err) {
    const char *const parameters[] = {schema, name};
    return session_query(session, BY_NAME, 2, parameters, &SHAPE, ret_shapes, err);
}

static struct slice field(const PGresult *shapes, int row, int column) {
    return slice_of(PQgetvalue(shapes, row, column));
}

int type_shapes_find(const PGresult *shapes, int first, int end, struct slice column) {
    for (int row = first; row < end; row++)
        if (slice_equal(field(shapes, row, SHAPE_COLUMN), column))
            return row;
    return -1;
}

struct type_shape type_shape_of_row(const PGresult *shapes, int row) {
    return (struct type_shape){
        .schema = field(shapes, row, SHAPE_SCHEMA),
        .name = field(shapes, row, SHAPE_NAME),
        .base_schema = field(shapes, row, SHAPE_BASE_SCHEMA),
        .base_name = field(shapes, row, SHAPE_BASE_NAME),
        .is_array = result_is_true(shapes, row, SHAPE_IS_ARRAY),
        .is_enum = result_is_true(shapes, row, SHAPE_IS_ENUM),
        .modifier = (int32_t) strtol(PQgetvalue(shapes, row, SHAPE_MODIFIER), NULL, 10),
    };
}
