/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_letters.c - the statements of an engine on pgcdc.dead.
 */
#include "sinks/postgres/dead/dead_letters.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/fault.h"
#include "sinks/postgres/dead/dead_tables.h"
#include "sinks/postgres/target/pq_pipeline.h"

#define KEYS_DEFAULT 1000u
#define KEYS_MOST 100000u
#define SCRATCH_BYTES_MAX ((size_t) 1 << 30)
#define NUMBER_TEXT_MAX 24

#define MINE "pipeline = $1 and sink = $2 and stream = $3"

/* ---- options ---- */

static bool read_limit(const struct sink_config *config, size_t *ret_limit, struct error *err) {
    const char *text = sink_config_find(config, "dead_letter_limit");
    char *end = NULL;
    *ret_limit = KEYS_DEFAULT;
    if (text == NULL)
        return true;
    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    *ret_limit = number;
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && number > 0 && number <= KEYS_MOST)
        return true;
    error_set(err, ERROR_CONFIG, "dead_letter_limit: expected a number from 1 to %u", KEYS_MOST);
    return error_option(err, "dead_letter_limit");
}

bool dead_letters_read_options(const struct sink_config *config, size_t *ret_keys_max, struct error *err) {
    const char *value = sink_config_find(config, "on_error");
    *ret_keys_max = 0;
    if (value != NULL && strcmp(value, "dead_letter") == 0)
        return read_limit(config, ret_keys_max, err);
    if (value != NULL && strcmp(value, "stop") != 0) {
        error_set(err, ERROR_CONFIG, "on_error: expected stop or dead_letter");
        return error_option(err, "on_error");
    }
    if (sink_config_find(config, "dead_letter_limit") == NULL)
        return true;
    error_set(err, ERROR_CONFIG, "dead_letter_limit needs on_error: dead_letter");
    return error_option(err, "dead_letter_limit");
}

/* ---- life ---- */

void dead_letters_init(struct dead_letters *letters, struct target *target, size_t keys_max) {
    *letters = (struct dead_letters){.target = target, .keys_max = keys_max};
    dead_keys_init(&letters->keys);
    dead_record_writer_init(&letters->writer);
    buffer_init(&letters->scratch, SCRATCH_BYTES_MAX);
}

void dead_letters_release(struct dead_letters *letters) {
    if (letters->target == NULL)
        return;
    dead_keys_release(&letters->keys);
    dead_record_writer_release(&letters->writer);
    buffer_release(&letters->scratch);
    letters->target = NULL;
}

static void set_mine(const struct dead_letters *letters, const char **values) {
    values[0] = letters->target->row.pipeline;
    values[1] = letters->target->row.sink;
    values[2] = letters->target->row.stream;
}

/* ---- the keys ---- */

static struct slice field_of(const PGresult *result, int row, int column) {
    return (struct slice){.data = PQgetvalue(result, row, column),
                          .size = (size_t) PQgetlength(result, row, column)};
}

static bool load_keys(struct dead_letters *letters, struct error *err) {
    static const char SQL[] =
        "select distinct d.table_schema, d.table_name, d.key_columns, k.key from pgcdc.dead d"
        " left join lateral pg_catalog.unnest(d.keys) k (key) on true where " MINE;
    static const struct result_shape SHAPE = {"the query for dead letters", 0, RESULT_ROWS_ANY, 4, 8};
    const char *values[3];
    PGresult *result AUTO_PGRESULT = NULL;
    set_mine(letters, values);
    const struct session_parameters parameters = {
        .count = 3, .types = (const oid_t[]){25, 25, 25}, .values = values, .result_format = 1};
    if (!session_query_typed(&letters->target->session, SQL, &parameters, &SHAPE, &result, err))
        return false;
    dead_keys_reset(&letters->keys);
    for (int row = 0; row < PQntuples(result); row++) {
        struct dead_place place = {.schema = field_of(result, row, 0), .name = field_of(result, row, 1)};
        if (PQgetisnull(result, row, 3) == 0)
            place = (struct dead_place){.schema = place.schema,
                                        .name = place.name,
                                        .columns = field_of(result, row, 2),
                                        .key_count = 1,
                                        .keys = {field_of(result, row, 3)}};
        if (!dead_keys_add(&letters->keys, &place, err))
            return false;
    }
    return true;
}

static bool read_log_id(struct dead_letters *letters, int64_t *ret_id, struct error *err) {
    static const char SQL[] = "select coalesce(pg_catalog.max(id), 0) from pgcdc.dead_log where " MINE;
    const char *values[3];
    PGresult *result AUTO_PGRESULT = NULL;
    set_mine(letters, values);
    if (!session_query(&letters->target->session, SQL, 3, values,
                       &(const struct result_shape){"the query for settled letters", 1, 1, 1, 0}, &result,
                       err))
        return false;
    *ret_id = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

static bool refuse_left_letters(const struct dead_letters *letters, struct error *err) {
    error_set(
        err, ERROR_CONFIG,
        "sink %s has dead letters of an earlier on_error: dead_letter, and later changes of their keys wait",
        letters->target->row.sink);
    error_remedy(err, "set on_error: dead_letter again, or settle them with `pgcdc dead retry` or "
                      "`pgcdc dead skip`; `pgcdc dead list` shows them");
    return error_option(err, "on_error");
}

bool dead_letters_open(struct dead_letters *letters, struct error *err) {
    bool exist = false;
    struct session *session = &letters->target->session;
    if (letters->keys_max > 0 ? !dead_tables_create(session, err) : !dead_tables_exist(session, &exist, err))
        return false;
    if (letters->keys_max == 0 && !exist)
        return true;
    if (!read_log_id(letters, &letters->log_id, err) || !load_keys(letters, err))
        return false;
    return letters->keys_max > 0 || !dead_letters_exist(letters) || refuse_left_letters(letters, err);
}

bool dead_letters_check(struct dead_letters *letters, struct error *err) {
    int64_t log_id = 0;
    if (letters->checked_in == letters->target->transaction_count)
        return true;
    if (!read_log_id(letters, &log_id, err) || (log_id != letters->log_id && !load_keys(letters, err)))
        return false;
    letters->log_id = log_id;
    letters->checked_in = letters->target->transaction_count;
    return true;
}

bool dead_letters_have(struct dead_letters *letters, const struct change *change, bool *ret_waits,
                       struct error *err) {
    struct dead_place place;
    *ret_waits = false;
    if (!dead_letters_exist(letters))
        return true;
    if (!dead_place_of(change, &letters->scratch, &place, err))
        return false;
    *ret_waits = dead_keys_have(&letters->keys, &place);
    return true;
}

/* ---- a new letter ---- */

enum {
    SEND_COLUMNS = 15,
    TYPE_BYTEA = 17,
    TYPE_BIGINT = 20,
    TYPE_TEXT = 25,
    TYPE_OID = 26,
    TYPE_LSN = 3220,
};

static const char INSERT[] =
    "insert into pgcdc.dead (pipeline, sink, stream, lsn, change, relation_oid, table_schema, table_name, "
    "state,"
    " key_columns, keys, sqlstate, reason, remedy, record) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
    " pg_catalog.array_remove(array[$11, $12], null), $13, $14, $15, $16)";

static const oid_t INSERT_TYPES[SEND_COLUMNS + 1] = {
    TYPE_TEXT, TYPE_TEXT,  TYPE_TEXT,  TYPE_LSN,   TYPE_BIGINT, TYPE_OID,  TYPE_TEXT, TYPE_TEXT,
    TYPE_TEXT, TYPE_BYTEA, TYPE_BYTEA, TYPE_BYTEA, TYPE_TEXT,   TYPE_TEXT, TYPE_TEXT, TYPE_BYTEA};

struct insert_values {
    const char *values[SEND_COLUMNS + 1];
    int sizes[SEND_COLUMNS + 1];
    int formats[SEND_COLUMNS + 1];
    struct lsn_text lsn;
    char change[NUMBER_TEXT_MAX], relation[NUMBER_TEXT_MAX];
};

static void put_bytes(struct insert_values *insert, int at, struct slice bytes) {
    insert->values[at] = bytes.data != NULL ? bytes.data : "";
    insert->sizes[at] = (int) bytes.size;
    insert->formats[at] = 1;
}

static void fill_insert(struct insert_values *insert, const struct dead_letters *letters,
                        const struct change *change, const struct dead_place *place,
                        const struct error *failure, struct slice record) {
    *insert = (struct insert_values){.lsn = lsn_format(change->transaction->commit_lsn)};
    snprintf(insert->change, sizeof insert->change, "%" PRIu64, change->index);
    snprintf(insert->relation, sizeof insert->relation, "%u", change->relation->oid);
    set_mine(letters, insert->values);
    insert->values[3] = insert->lsn.text;
    insert->values[4] = insert->change;
    insert->values[5] = insert->relation;
    insert->values[6] = place->schema.data;
    insert->values[7] = place->name.data;
    insert->values[8] = failure != NULL ? "failed" : "waiting";
    put_bytes(insert, 9, place->columns);
    for (unsigned i = 0; i < place->key_count; i++)
        put_bytes(insert, 10 + (int) i, place->keys[i]);
    if (failure != NULL) {
        insert->values[12] = failure->sqlstate;
        insert->values[13] = failure->text;
        insert->values[14] = failure->remedy;
    }
    put_bytes(insert, 15, record);
}

static bool send_insert_of(struct dead_letters *letters, struct pq_pipeline *pipeline,
                           const struct insert_values *insert, struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    const struct pq_pipeline_parameters parameters = {.count = SEND_COLUMNS + 1,
                                                      .values = insert->values,
                                                      .sizes = insert->sizes,
                                                      .formats = insert->formats};
    if (letters->prepared != pipeline->drops + 1 &&
        !pq_pipeline_prepare(pipeline, "pgcdc_dead", INSERT, SEND_COLUMNS + 1, INSERT_TYPES, ANY, err))
        return false;
    letters->prepared = pipeline->drops + 1;
    return pq_pipeline_execute(pipeline, "pgcdc_dead", &parameters,
                               (struct pq_pipeline_note){.rows_expected = 1}, err);
}

/* The error of the change that would be one too many. */
static bool refuse_more(const struct dead_letters *letters, const struct error *failure, struct error *err) {
    const size_t count = letters->keys.count;
    if (failure != NULL)
        *err = *failure;
    else
        error_set(err, ERROR_DATA, "target: a change waits behind a dead letter");
    error_wrap(err, "sink %s has dead letters of %s, and no more are accepted (dead_letter_limit)",
               letters->target->row.sink, amount_count(count, "key").text);
    return error_remedy(err,
                        "`pgcdc dead list` shows them: remove the reason and run `pgcdc dead retry`, or run "
                        "`pgcdc dead skip`; or raise dead_letter_limit; then start again");
}

bool dead_letters_send(struct dead_letters *letters, struct pq_pipeline *pipeline,
                       const struct change *change, const struct error *failure, struct error *err) {
    struct dead_place place;
    struct slice record;
    struct insert_values insert;
    if (!dead_place_of(change, &letters->scratch, &place, err))
        return false;
    if (letters->keys.count >= letters->keys_max && dead_keys_lack(&letters->keys, &place))
        return refuse_more(letters, failure, err);
    if (!dead_record_write(&letters->writer, change, &record, err))
        return false;
    fill_insert(&insert, letters, change, &place, failure, record);
    if (!send_insert_of(letters, pipeline, &insert, err) || !dead_keys_add(&letters->keys, &place, err))
        return false;
    FAULT_POINT("dead-sent");
    return true;
}

static bool store_reason(struct dead_letters *letters, const char *id, const struct error *failure,
                         struct error *err) {
    static const char SQL[] =
        "update pgcdc.dead set state = 'failed', sqlstate = $5, reason = $6, remedy = $7"
        " where " MINE " and id = $4::bigint";
    const char *values[7] = {NULL, NULL, NULL, id, failure->sqlstate, failure->text, failure->remedy};
    set_mine(letters, values);
    return session_query(&letters->target->session, SQL, 7, values, NULL, NULL, err);
}

bool dead_letters_stay(struct dead_letters *letters, const struct change *change, const struct error *failure,
                       struct error *err) {
    struct dead_retry *retry = letters->retry;
    struct dead_place place;
    const size_t at = (size_t) (change - retry->changes);
    retry->stays[at] = true;
    retry->failed += failure != NULL;
    retry->waiting += failure == NULL;
    return dead_place_of(change, &letters->scratch, &place, err) &&
           dead_keys_add(&letters->keys, &place, err) &&
           (failure == NULL || store_reason(letters, retry->ids[at], failure, err));
}

bool dead_letters_forget(struct dead_letters *letters, const struct relation *relation, uint64_t *ret_count,
                         struct error *err) {
    static const char SQL[] = "with gone as (delete from pgcdc.dead where " MINE
                              " and relation_oid = $4::oid returning 1) select pg_catalog.count(*) from gone";
    char oid[NUMBER_TEXT_MAX];
    const char *values[4] = {NULL, NULL, NULL, oid};
    PGresult *result AUTO_PGRESULT = NULL;
    snprintf(oid, sizeof oid, "%u", relation->oid);
    set_mine(letters, values);
    if (!session_query(&letters->target->session, SQL, 4, values,
                       &(const struct result_shape){"the removal of dead letters", 1, 1, 1, 0}, &result, err))
        return false;
    *ret_count = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return *ret_count == 0 || load_keys(letters, err);
}
