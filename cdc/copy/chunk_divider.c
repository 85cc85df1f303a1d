/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_divider.c - reads the type and the collation of a key column.
 */
#include "cdc/copy/chunk_divider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/copy/chunk_key.h"
#include "decoder/builtin_type.h"

#define ORDER_BYTES_MAX 4096u

/*
 * The base type is that of a domain, else the type. C and POSIX, under any name, and the builtin provider's
 * collations (17) compare the bytes of a text. A field that a version does not have is null in JSON.
 */
static const char READ_TYPE[] =
    "with recursive base (oid, next_oid) as ("
    " select t.oid, t.typbasetype from pg_catalog.pg_attribute a"
    "  join pg_catalog.pg_type t on t.oid = a.atttypid where a.attrelid = $1 and a.attname = $2"
    " union all select t.oid, t.typbasetype from base join pg_catalog.pg_type t on t.oid = base.next_oid),"
    " collated (oid, provider, name, locale) as ("
    " select c.oid, c.collprovider::text, c.collcollate::text, pg_catalog.to_jsonb(c) ->> 'colllocale'"
    "  from pg_catalog.pg_collation c where c.collprovider <> 'd'"
    " union all select c.oid, coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'), d.datcollate::text,"
    "  pg_catalog.to_jsonb(d) ->> 'datlocale' from pg_catalog.pg_collation c, pg_catalog.pg_database d"
    "  where c.collprovider = 'd' and d.datname = pg_catalog.current_database())"
    " select t.oid, pg_catalog.format('%I.%I', n.nspname, t.typname), pg_catalog.getdatabaseencoding(),"
    "  a.attcollation <> 0, t.typtype,"
    "  (select pg_catalog.format('%I.%I', o.nspname, k.collname) from pg_catalog.pg_collation k"
    "   join pg_catalog.pg_namespace o on o.oid = k.collnamespace"
    "   where k.oid = a.attcollation and k.collisdeterministic),"
    "  coalesce(c.provider = 'c' and c.name in ('C', 'POSIX')"
    "   or c.provider = 'b' and c.locale in ('C', 'C.UTF-8', 'PG_UNICODE_FAST'), false)"
    " from base join pg_catalog.pg_type t on t.oid = base.oid and base.next_oid = 0"
    " join pg_catalog.pg_namespace n on n.oid = t.typnamespace"
    " join pg_catalog.pg_attribute a on a.attrelid = $1 and a.attname = $2"
    " left join collated c on c.oid = a.attcollation";

struct divider_facts {
    oid_t base_type;
    const char *type_sql;
    bool is_utf8;
    bool is_ascii;
    bool is_enum;
    const char *collation_sql; /* NULL: none, or not deterministic */
    bool is_collated;
    bool compares_bytes;
};

static const struct table_column *first_of_key(const struct table *table) {
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct table_column *column = &table->columns[i];
        if (column->key_index == 1)
            return column->published && column->in_identity && column->generated == '\0' ? column : NULL;
    }
    return NULL;
}

static struct divider_facts facts_of(const PGresult *result) {
    return (struct divider_facts){
        .base_type = (oid_t) strtoul(PQgetvalue(result, 0, 0), NULL, 10),
        .type_sql = PQgetvalue(result, 0, 1),
        .is_utf8 = strcmp(PQgetvalue(result, 0, 2), "UTF8") == 0,
        .is_ascii = strcmp(PQgetvalue(result, 0, 2), "SQL_ASCII") == 0,
        .is_collated = PQgetvalue(result, 0, 3)[0] == 't',
        .is_enum = PQgetvalue(result, 0, 4)[0] == 'e',
        .collation_sql = PQgetisnull(result, 0, 5) != 0 ? NULL : PQgetvalue(result, 0, 5),
        .compares_bytes = PQgetvalue(result, 0, 6)[0] == 't',
    };
}

/* The stream's text is UTF-8, so its bytes have the order of the server's only if the server's are too. */
static bool is_ordered_here(const struct divider_facts *facts) {
    return chunk_key_has_type(facts->base_type) &&
           (!facts->is_collated || (facts->is_utf8 && facts->compares_bytes));
}

/* Operators of these types are in pg_catalog, and the text of a value is the same in every session. */
static bool is_ordered_by_name(oid_t type_oid) {
    static const char *const NAMES[] = {"bool",    "name",     "float4",  "float8",  "cidr",    "inet",
                                        "macaddr", "macaddr8", "text",    "bpchar",  "time",    "timetz",
                                        "bit",     "varbit",   "varchar", "numeric", "interval"};
    const char *name = builtin_type_name(type_oid);
    for (size_t i = 0; name != NULL && i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(name, NAMES[i]) == 0)
            return true;
    return false;
}

/*
 * The keys go to the source as UTF-8. The text of SQL_ASCII need not be that. With a collation that is not
 * deterministic, a bound is equal to other texts.
 */
static bool is_ordered_there(const struct divider_facts *facts) {
    if (facts->is_collated || facts->is_enum)
        return !facts->is_ascii && (facts->is_enum || facts->collation_sql != NULL) &&
               (facts->is_enum || is_ordered_by_name(facts->base_type));
    return is_ordered_by_name(facts->base_type);
}

static bool set_order(const struct divider_facts *facts, struct arena *arena, struct chunk *chunk,
                      struct error *err) {
    const char *collation = chunk->method == CHUNK_BY_KEY ? "pg_catalog.\"C\"" : facts->collation_sql;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = ORDER_BYTES_MAX};
    buffer_append_text(&sql, facts->type_sql);
    if (facts->is_collated)
        buffer_printf(&sql, " collate %s", collation);
    chunk->order_sql = buffer_text(&sql) != NULL ? arena_copy(arena, buffer_slice(&sql)) : NULL;
    return chunk->order_sql != NULL ? true : error_no_memory(err);
}

bool chunk_divider_find(struct session *source, const struct table *table, struct arena *arena,
                        struct chunk *chunk, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[16];
    const struct table_column *column = first_of_key(table);
    chunk->method = CHUNK_WHOLE;
    if (column == NULL)
        return true;
    snprintf(oid, sizeof oid, "%u", table->oid);
    const char *const values[] = {oid, column->name};
    if (!session_query(source, READ_TYPE, 2, values,
                       &(const struct result_shape){"the query for the type of a key", 0, 1, 7, 1u << 5},
                       &result, err))
        return false;
    if (PQntuples(result) == 0)
        return true; /* the table was dropped after the snapshot */
    const struct divider_facts facts = facts_of(result);
    if (is_ordered_here(&facts))
        chunk->method = CHUNK_BY_KEY;
    else if (is_ordered_there(&facts))
        chunk->method = CHUNK_BY_SOURCE;
    else
        return true;
    chunk->column = column->name;
    chunk->column_type = column->type_oid;
    chunk->key_type = facts.base_type;
    return set_order(&facts, arena, chunk, err);
}
