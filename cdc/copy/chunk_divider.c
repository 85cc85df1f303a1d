/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_divider.c - reads the type and the collation of a key column.
 */
#include "cdc/copy/chunk_divider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/copy/chunk_key.h"

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
    "  a.attcollation <> 0,"
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
        .is_collated = PQgetvalue(result, 0, 3)[0] == 't',
        .compares_bytes = PQgetvalue(result, 0, 4)[0] == 't',
    };
}

/* The stream's text is UTF-8, so its bytes have the order of the server's only if the server's are too. */
static bool is_ordered_here(const struct divider_facts *facts) {
    return chunk_key_has_type(facts->base_type) &&
           (!facts->is_collated || (facts->is_utf8 && facts->compares_bytes));
}

static bool set_order(const struct divider_facts *facts, struct arena *arena, struct chunk *chunk,
                      struct error *err) {
    static const char BYTES[] = " collate pg_catalog.\"C\"";
    const size_t size = strlen(facts->type_sql) + sizeof BYTES;
    char *order_sql = arena_alloc(arena, size);
    if (order_sql == NULL)
        return error_no_memory(err);
    snprintf(order_sql, size, "%s%s", facts->type_sql, facts->is_collated ? BYTES : "");
    chunk->order_sql = order_sql;
    return true;
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
                       &(const struct result_shape){"the query for the type of a key", 0, 1, 5, 0}, &result,
                       err))
        return false;
    if (PQntuples(result) == 0)
        return true; /* the table was dropped after the snapshot */
    const struct divider_facts facts = facts_of(result);
    if (!is_ordered_here(&facts))
        return true;
    chunk->method = CHUNK_BY_KEY;
    chunk->column = column->name;
    chunk->column_type = column->type_oid;
    chunk->key_type = facts.base_type;
    return set_order(&facts, arena, chunk, err);
}
