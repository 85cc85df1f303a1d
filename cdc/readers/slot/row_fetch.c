/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_fetch.c - one SELECT by key and xmin.
 */
#include "cdc/readers/slot/row_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/source.h"
#include "decoder/decoder.h"

enum { SQL_BYTES_MAX = 1 << 20 };

/*
 * The feed's thread waits for this query, and the server drops a client that is silent for
 * wal_sender_timeout.
 */
static const char LIMITS[] = "set statement_timeout = '10s'; set lock_timeout = '2s'";

/*
 * The transaction was decoded, but while it waits for a synchronous standby its rows are not visible to other
 * sessions. Its 64-bit xid is the one nearest to the end of the snapshot.
 */
static const char IS_VISIBLE[] =
    "select pg_visible_in_snapshot((xmax + mod(mod($1::numeric - xmax + 2147483648, 4294967296) + "
    "4294967296, 4294967296)"
    " - 2147483648)::text::xid8, now) from (select now, pg_snapshot_xmax(now)::text::numeric as xmax"
    " from pg_current_snapshot() now) s";

/* Parameters: the transaction's xid, then the key. */
struct key {
    int count;
    oid_t types[RELATION_COLUMNS_MAX + 1];
    const char *values[RELATION_COLUMNS_MAX + 1];
    int lengths[RELATION_COLUMNS_MAX + 1];
    int formats[RELATION_COLUMNS_MAX + 1];
    char xid[16];
};

static bool open_session(struct row_fetch *fetch, struct error *err) {
    if (fetch->session.conn != NULL)
        return true;
    return source_open(&fetch->session, fetch->source, fetch->stop, err) &&
           session_execute(&fetch->session, LIMITS, err);
}

/* The row's key, as in the INSERT. A key that is missing or incomplete finds no row. */
static struct key *take_key(const struct change *change, struct arena *arena) {
    struct key *key = arena_alloc_zero(arena, sizeof *key);
    if (key == NULL)
        return NULL;
    snprintf(key->xid, sizeof key->xid, "%u", change->transaction->xid);
    key->values[0] = key->xid;
    key->count = 1;
    for (uint32_t i = 0; i < change->relation->column_count; i++) {
        const struct value *value = &change->new_values[i];
        if (!change->relation->columns[i].is_key)
            continue;
        key->types[key->count] = change->relation->columns[i].type_oid;
        key->values[key->count] = arena_copy(arena, value_slice(value));
        key->lengths[key->count] = (int) value->size;
        key->formats[key->count] = value->kind == VALUE_BINARY;
        if (key->values[key->count++] == NULL)
            return NULL;
    }
    return key;
}

/* select "v" from "s"."t" where xmin = $1::text::xid and "id" = $2 */
static bool write_sql(const struct change *change, struct buffer *sql) {
    const struct relation *relation = change->relation;
    const char *comma = "select ";
    int parameter = 1;
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (change->new_values[i].kind == VALUE_UNCHANGED) {
            buffer_append_text(sql, comma);
            identifier_append(sql, relation->columns[i].name);
            comma = ", ";
        }
    buffer_append_text(sql, " from ");
    identifier_append_qualified(sql, relation->schema, relation->name);
    buffer_append_text(sql, " where xmin = $1::text::xid");
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (relation->columns[i].is_key) {
            buffer_append_text(sql, " and ");
            identifier_append(sql, relation->columns[i].name);
            buffer_printf(sql, " = $%d", ++parameter);
        }
    return buffer_text(sql) != NULL;
}

static int count_unsent(const struct change *change) {
    int count = 0;
    for (uint32_t i = 0; i < change->relation->column_count; i++)
        count += change->new_values[i].kind == VALUE_UNCHANGED;
    return count;
}

static bool select_row(struct row_fetch *fetch, const struct change *change, struct arena *arena,
                       PGresult **ret_row, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct key *key = take_key(change, arena);
    if (key == NULL || !write_sql(change, &sql))
        return error_no_memory(err);
    const struct session_parameters parameters = {.count = key->count,
                                                  .types = key->types,
                                                  .values = key->values,
                                                  .lengths = key->lengths,
                                                  .formats = key->formats,
                                                  .result_format = fetch->binary};
    /* fetch_row decides about a NULL. */
    const struct result_shape shape = {"the query for a row", 0, RESULT_ROWS_ANY, count_unsent(change),
                                       RESULT_NULL_ANYWHERE};
    return session_query_typed(&fetch->session, sql.data, &parameters, &shape, ret_row, err);
}

/*
 * The row was not visible in an earlier snapshot. When the transaction is visible now, that earlier miss
 * proves nothing, so query again.
 */
static bool expect_visible(struct row_fetch *fetch, const struct change *change, struct error *err) {
    char xid[16];
    const char *parameters[] = {xid};
    PGresult *result AUTO_PGRESULT = NULL;
    snprintf(xid, sizeof xid, "%u", change->transaction->xid);
    if (!session_query(&fetch->session, IS_VISIBLE, 1, parameters,
                       &(const struct result_shape){"the query for a transaction", 1, 1, 1, 0}, &result, err))
        return false;
    if (strcmp(PQgetvalue(result, 0, 0), "t") == 0)
        return true;
    return error_set(err, ERROR_RETRY, "source: the transaction that commits at %s is not visible there yet",
                     lsn_format(change->transaction->commit_lsn).text);
}

static uint32_t find_unsent(const struct change *change) {
    uint32_t i = 0;
    while (i < change->relation->column_count && change->new_values[i].kind != VALUE_UNCHANGED)
        i++;
    return i;
}

static bool fill_in(const struct row_fetch *fetch, const PGresult *row, struct change *change,
                    struct arena *arena, struct error *err) {
    struct value *values = arena_alloc(arena, change->relation->column_count * sizeof *values);
    if (values == NULL)
        return error_no_memory(err);
    memcpy(values, change->new_values, change->relation->column_count * sizeof *values);
    int column = 0;
    for (uint32_t i = 0; i < change->relation->column_count; i++) {
        if (values[i].kind != VALUE_UNCHANGED || column == PQnfields(row))
            continue;
        const struct slice bytes = {.data = PQgetvalue(row, 0, column),
                                    .size = (size_t) PQgetlength(row, 0, column)};
        values[i] = (struct value){.data = arena_copy(arena, bytes),
                                   .size = (uint32_t) bytes.size,
                                   .kind = fetch->binary ? VALUE_BINARY : VALUE_TEXT};
        if (values[i].data == NULL)
            return error_no_memory(err);
        column++;
    }
    change->new_values = values;
    change->is_partial = find_unsent(change) < change->relation->column_count;
    return !change->is_partial ||
           error_set(err, ERROR_PROTOCOL, "source: a row has other columns than requested");
}

static bool has_null(const PGresult *row) {
    for (int i = 0; i < PQnfields(row); i++)
        if (PQgetisnull(row, 0, i))
            return true;
    return false;
}

/* An omitted value is large, so never null: a row with a null in its place is another row. */
static bool fetch_row(struct row_fetch *fetch, struct change *change, struct arena *arena,
                      struct error *err) {
    for (int attempt = 0; attempt < 2; attempt++) {
        PGresult *row AUTO_PGRESULT = NULL;
        if (!select_row(fetch, change, arena, &row, err))
            return false;
        if (PQntuples(row) == 1 && !has_null(row))
            return fill_in(fetch, row, change, arena, err);
        if (PQntuples(row) > 0 || !expect_visible(fetch, change, err))
            break;
    }
    return err->kind == ERROR_NONE ? change_refuse_partial(change, err) : false;
}

bool row_fetch_complete(struct row_fetch *fetch, struct change *change, struct arena *arena,
                        struct error *err) {
    if (change->relation->key_count == 0 || change->relation->identity == REPLICA_IDENTITY_FULL)
        return change_refuse_partial(change, err);
    struct error failure = {0};
    if (open_session(fetch, &failure) && fetch_row(fetch, change, arena, &failure))
        return true;
    if (failure.kind == ERROR_RETRY || failure.kind == ERROR_STOPPED || failure.kind == ERROR_SYSTEM) {
        *err = failure;
        return false;
    }
    return change_refuse_partial(change, err);
}

void row_fetch_release(struct row_fetch *fetch) {
    session_close(&fetch->session);
}
