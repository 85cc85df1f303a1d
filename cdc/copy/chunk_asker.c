/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_asker.c - one query for the keys of a batch.
 *
 *     select 0, u.n, width_bucket(u.v::ORDER, b.bounds)
 *     from unnest($1::text[]) with ordinality u (v, n),
 *      (select array(select x.v::ORDER from unnest($2::text[]) with ordinality x (v, n) order by x.n))
 *       b (bounds)
 *     union all select 1, ...
 *
 * ORDER is the chunks' order_sql, so width_bucket compares as the column's btree index does. It returns how
 * many bounds are not above the key, which is the number of the key's chunk in its table.
 */
#include "cdc/copy/chunk_asker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/start_over.h"
#include "cdc/source/source.h"

#define BYTES_MAX ((size_t) 1 << 30)

/* The keys of one table in the changes at hand. */
struct asked_table {
    const struct map_table *table;
    struct buffer keys;   /* an array's text */
    struct buffer places; /* uint32_t: which key of filter->places each one is */
    struct buffer bounds; /* an array's text */
};

struct chunk_asker {
    const struct source_config *config;
    struct chunk_filter *filter;
    const atomic_bool *stop;
    struct session source;
    bool is_open;
    struct asked_table *tables;
    size_t count;
    struct buffer sql;
    struct asked_table **asked; /* those that have keys */
    const char **parameters;    /* two each */
};

/* ---- texts ---- */

static void append_element(struct buffer *array, struct slice text) {
    buffer_append_text(array, array->size == 0 ? "{\"" : ",\"");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            buffer_append_u8(array, '\\');
        buffer_append_u8(array, (uint8_t) text.data[i]);
    }
    buffer_append_text(array, "\"");
}

static const char *end_array(struct buffer *array) {
    buffer_append_text(array, array->size == 0 ? "{}" : "}");
    return buffer_text(array);
}

static void append_bounds(struct asked_table *asked, const struct chunk_map *map) {
    const struct map_table *table = asked->table;
    for (size_t i = table->first + 1; i < table->first + table->count; i++)
        append_element(&asked->bounds, slice_of(map->chunks[i].chunk.low));
}

static void append_query(struct chunk_asker *asker, const struct asked_table *asked, size_t number) {
    const char *order_sql = asker->filter->map->chunks[asked->table->first].chunk.order_sql;
    buffer_printf(
        &asker->sql,
        "%s select %zu, u.n, pg_catalog.width_bucket(u.v::%s, b.bounds)"
        " from pg_catalog.unnest($%zu::text[]) with ordinality u (v, n),"
        " (select array(select x.v::%s from pg_catalog.unnest($%zu::text[]) with ordinality x (v, n)"
        " order by x.n)) b (bounds)",
        number > 0 ? " union all" : "", number, order_sql, 2 * number + 1, order_sql, 2 * number + 2);
}

/* ---- making ---- */

static bool fill(struct chunk_asker *asker) {
    const struct chunk_map *map = asker->filter->map;
    asker->tables = calloc(map->table_count + 1, sizeof *asker->tables);
    asker->parameters = calloc(2 * map->table_count + 1, sizeof *asker->parameters);
    asker->asked = calloc(map->table_count + 1, sizeof(struct asked_table *));
    if (asker->tables == NULL || asker->parameters == NULL || asker->asked == NULL)
        return false;
    for (size_t i = 0; i < map->table_count; i++) {
        if (!map_table_is_asked(&map->tables[i]))
            continue;
        struct asked_table *asked = &asker->tables[asker->count++];
        *asked = (struct asked_table){.table = &map->tables[i],
                                      .keys = {.bytes_max = BYTES_MAX},
                                      .places = {.bytes_max = BYTES_MAX},
                                      .bounds = {.bytes_max = BYTES_MAX}};
        append_bounds(asked, map);
        if (end_array(&asked->bounds) == NULL)
            return false;
    }
    return true;
}

struct chunk_asker *chunk_asker_new(const struct source_config *config, struct chunk_filter *filter,
                                    const atomic_bool *stop) {
    struct chunk_asker *asker = calloc(1, sizeof *asker);
    if (asker == NULL)
        return NULL;
    asker->config = config;
    asker->filter = filter;
    asker->stop = stop;
    asker->sql.bytes_max = BYTES_MAX;
    if (fill(asker))
        return asker;
    chunk_asker_free(asker);
    return NULL;
}

void chunk_asker_free(struct chunk_asker *asker) {
    if (asker == NULL)
        return;
    session_close(&asker->source);
    for (size_t i = 0; i < asker->count; i++) {
        buffer_release(&asker->tables[i].keys);
        buffer_release(&asker->tables[i].places);
        buffer_release(&asker->tables[i].bounds);
    }
    buffer_release(&asker->sql);
    free(asker->tables);
    free(asker->asked);
    free(asker->parameters);
    free(asker);
}

/* ---- asking ---- */

static struct asked_table *find_asked(struct chunk_asker *asker, const struct map_table *table) {
    for (size_t i = 0; i < asker->count; i++)
        if (asker->tables[i].table == table)
            return &asker->tables[i];
    return NULL;
}

static bool collect_keys(struct chunk_asker *asker, const struct change *changes, size_t count,
                         struct error *err) {
    for (size_t i = 0; i < asker->count; i++) {
        buffer_reset(&asker->tables[i].keys);
        buffer_reset(&asker->tables[i].places);
    }
    for (size_t i = 0; i < count; i++) {
        struct filter_keys keys;
        if (!change_is_row(&changes[i]))
            continue;
        if (!chunk_filter_keys(asker->filter, &changes[i], &keys, err))
            return false;
        for (uint32_t side = 0; keys.table != NULL && side < 2; side++) {
            const uint32_t place = (uint32_t) (2 * i + side);
            struct asked_table *asked = find_asked(asker, keys.table);
            assert(asked != NULL);
            if (keys.values[side] == NULL)
                continue;
            append_element(&asked->keys, value_slice(keys.values[side]));
            buffer_append(&asked->places, &place, sizeof place);
        }
    }
    return true;
}

static bool open_source(struct chunk_asker *asker, struct error *err) {
    if (!asker->is_open)
        asker->is_open = source_open(&asker->source, asker->config, asker->stop, err);
    return asker->is_open;
}

/* The query, with its parameters, for the tables that have keys; *ret_count of them in asker->asked. */
static bool build_query(struct chunk_asker *asker, size_t *ret_count, struct error *err) {
    size_t count = 0;
    buffer_reset(&asker->sql);
    for (size_t i = 0; i < asker->count; i++) {
        struct asked_table *asked = &asker->tables[i];
        if (asked->places.size == 0)
            continue;
        append_query(asker, asked, count);
        asker->parameters[2 * count] = end_array(&asked->keys);
        asker->parameters[2 * count + 1] = buffer_text(&asked->bounds);
        if (asker->parameters[2 * count] == NULL)
            return error_no_memory(err);
        asker->asked[count++] = asked;
    }
    *ret_count = count;
    return count == 0 || buffer_text(&asker->sql) != NULL ? true : error_no_memory(err);
}

static bool take_answer(struct chunk_asker *asker, const PGresult *result, int row, size_t table_count) {
    const unsigned long table = strtoul(PQgetvalue(result, row, 0), NULL, 10);
    const unsigned long number = strtoul(PQgetvalue(result, row, 1), NULL, 10);
    const unsigned long bucket = strtoul(PQgetvalue(result, row, 2), NULL, 10);
    uint32_t place;
    if (table >= table_count)
        return false;
    const struct asked_table *asked = asker->asked[table];
    if (number < 1 || number > asked->places.size / sizeof place || bucket >= asked->table->count)
        return false;
    memcpy(&place, asked->places.data + (number - 1) * sizeof place, sizeof place);
    asker->filter->places[place] = (uint32_t) bucket;
    return true;
}

/* A bound or a key that is not a value of the type any more: a label of an enum was renamed. */
static bool explain(struct error *err) {
    if (strncmp(err->sqlstate, "22", 2) == 0) {
        err->kind = ERROR_REFUSE;
        error_remedy(err, START_OVER);
    }
    return error_wrap(err, "finding the chunks of keys");
}

bool chunk_asker_ask(struct chunk_asker *asker, const struct change *changes, size_t count,
                     struct error *err) {
    static const struct result_shape SHAPE = {"the query for places of keys", 0, RESULT_ROWS_ANY, 3, 0};
    PGresult *result AUTO_PGRESULT = NULL;
    size_t asked_count = 0;
    if (asker->count == 0)
        return true;
    chunk_filter_expect(asker->filter, changes, count);
    if (!collect_keys(asker, changes, count, err) || !build_query(asker, &asked_count, err))
        return false;
    if (asked_count == 0)
        return true;
    if (!open_source(asker, err))
        return false;
    if (!session_query(&asker->source, asker->sql.data, (int) (2 * asked_count), asker->parameters, &SHAPE,
                       &result, err))
        return explain(err);
    for (int row = 0; row < PQntuples(result); row++)
        if (!take_answer(asker, result, row, asked_count))
            return error_set(err, ERROR_PROTOCOL,
                             "source: unexpected answer to the query for places of keys");
    return true;
}
