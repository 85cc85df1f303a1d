/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof.c - rows of steps whose details are JSON; the target's server reads it.
 */
#include "cdc/migrate/proof/proof.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/base/json_writer.h"
#include "cdc/migrate/steps/step_detail.h"
#include "cdc/pq/identifier.h"
#include "cdc/verify/verify_print.h"
#include "sinks/left_out.h"

static const char *const SIDES[LEDGER_SIDES] = {[LEDGER_IN] = "in",
                                                [LEDGER_WRITTEN] = "applied",
                                                [LEDGER_COPIED] = "in_copy",
                                                [LEDGER_PRESENT] = "present",
                                                [LEDGER_SKIPPED] = "skipped"};

/* ---- writing ---- */

static void append_name(struct buffer *name, const char *schema, const char *table) {
    name->size = 0;
    identifier_append_printable_qualified(name, slice_of(schema), slice_of(table));
}

static bool counts_as_equal(enum verify_result result, const struct config_sink *sink) {
    const char *narrowing = sink_config_find(&sink->sink, "narrowing");
    return result == VERIFY_EQUAL ||
           (result == VERIFY_NARROWED && narrowing != NULL && strcmp(narrowing, "allow") == 0);
}

static void put_equal(struct json_writer *json, bool is_equal) {
    json_put_key(json, "equal");
    yajl_gen_bool(json->generator, is_equal);
}

static void put_hash(struct json_writer *json, const char *key, int64_t hash) {
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, (uint64_t) hash);
    json_put_field(json, key, text);
}

/* A row of the steps: its object and state, and the detail, which stays open. */
static void open_row(struct json_writer *json, const char *object, enum verify_result result, bool is_equal) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "object", object);
    json_put_field(json, "state", step_state_name(is_equal ? STEP_DONE : STEP_FAILED));
    json_put_key(json, "detail");
    yajl_gen_map_open(json->generator);
    json_put_field(json, "result", verify_result_name(result));
    put_equal(json, is_equal);
}

static void close_row(struct json_writer *json) {
    yajl_gen_map_close(json->generator);
    yajl_gen_map_close(json->generator);
}

static bool put_compared(const struct config_sink *sink, const struct verify *verify,
                         const struct verify_table *compared, struct json_writer *json, struct error *err) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
    append_name(&name, compared->table->schema, compared->table->name);
    if (buffer_text(&name) == NULL)
        return error_no_memory(err);
    open_row(json, name.data, compared->result, counts_as_equal(compared->result, sink));
    json_put_number(json, "source_rows", (int64_t) compared->source_rows);
    json_put_number(json, "target_rows", (int64_t) compared->target_rows);
    put_hash(json, "source_hash", compared->source_hash);
    put_hash(json, "target_hash", compared->target_hash);
    json_put_lsn(json, "lsn", compared->lsn != 0 ? compared->lsn : verify->last_lsn);
    close_row(json);
    return true;
}

static void put_whole(const struct config_sink *sink, const struct verify *verify, struct json_writer *json) {
    open_row(json, "", verify->result, counts_as_equal(verify->result, sink));
    json_put_lsn(json, "lsn", verify->first_lsn);
    json_put_lsn(json, "last_lsn", verify->last_lsn);
    json_put_number(json, "barriers", (int64_t) verify->barriers);
    json_put_number(json, "tables", (int64_t) verify->count);
    close_row(json);
}

static bool put_verify(const struct config_sink *sink, const struct verify *verify, struct json_writer *json,
                       struct error *err) {
    if (!json_writer_init(json, err))
        return false;
    json_writer_begin(json);
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < verify->count; i++)
        if (!put_compared(sink, verify, &verify->tables[i], json, err))
            return false;
    put_whole(sink, verify, json);
    yajl_gen_array_close(json->generator);
    return true;
}

/* One statement for all tables: a cutover stores its comparison while writes wait. */
static const char INSERT[] =
    "insert into pgcdc.migration (pipeline, step, object, state, detail, started_at, ended_at)"
    " select $1, '" PROOF_VERIFY "', r ->> 'object', r ->> 'state', (r -> 'detail')::text,"
    "  pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp()"
    " from pg_catalog.json_array_elements($2::json) r";

static bool write_verify(struct steps *steps, const struct config_sink *sink, const struct verify *verify,
                         struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct buffer text AUTO(buffer_release) = {0};
    const char *values[] = {steps->pipeline, NULL};
    return put_verify(sink, verify, &json, err) && step_detail(&json, &text, &values[1], err) &&
           steps_remove(steps, PROOF_VERIFY, err) &&
           session_query(&steps->session, INSERT, 2, values, NULL, NULL, err);
}

/* A session that is not in a transaction afterwards. */
static bool end_transaction(struct steps *steps, bool is_written, struct error *err) {
    struct error ignored = {0};
    if (is_written && session_execute(&steps->session, "commit", err))
        return true;
    if (!session_execute(&steps->session, "rollback", &ignored))
        session_close(&steps->session);
    return false;
}

bool proof_store_verify(struct steps *steps, const struct config_sink *sink, const struct verify *verify,
                        struct error *err) {
    if (!session_execute(&steps->session, "begin", err))
        return false;
    const bool is_written = write_verify(steps, sink, verify, err);
    FAULT_POINT("proof-written");
    return end_transaction(steps, is_written, err);
}

/* $4: the counts of this run. */
static const char ADD[] =
    "insert into pgcdc.migration as m (pipeline, step, object, state, detail, started_at, ended_at)"
    " values ($1, $2, $3, 'done', $4, pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp())"
    " on conflict (pipeline, step, object) do update set ended_at = excluded.ended_at, detail ="
    " (select pg_catalog.json_object_agg(n.key, n.value::text::numeric + coalesce((m.detail::json ->> n.key)"
    "::numeric, 0))::text from pg_catalog.json_each(excluded.detail::json) n)";

/* The open map of json has the counts. */
static bool add_counts(struct steps *steps, const char *step, const char *object, struct json_writer *json,
                       struct error *err) {
    struct buffer detail AUTO(buffer_release) = {0};
    const char *values[] = {steps->pipeline, step, object, NULL};
    yajl_gen_map_close(json->generator);
    return step_detail(json, &detail, &values[3], err) &&
           session_query(&steps->session, ADD, 4, values, NULL, NULL, err);
}

static bool add_table(struct steps *steps, const struct ledger_table *table, struct json_writer *json,
                      struct error *err) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
    append_name(&name, table->schema, table->name);
    if (buffer_text(&name) == NULL)
        return error_no_memory(err);
    json_writer_begin(json);
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < LEDGER_SIDES; i++)
        json_put_number(json, SIDES[i], (int64_t) table->counts[i]);
    return add_counts(steps, PROOF_LEDGER, name.data, json, err);
}

static bool add_left_out(struct steps *steps, const char *sink, const struct left_out *item,
                         struct json_writer *json, struct error *err) {
    struct buffer object AUTO(buffer_release) = {0};
    const char *text = NULL;
    json_writer_begin(json);
    yajl_gen_array_open(json->generator);
    json_put_text(json, slice_of(sink));
    json_put_text(json, slice_of(item->table));
    json_put_text(json, slice_of(item->rule));
    yajl_gen_array_close(json->generator);
    if (!step_detail(json, &object, &text, err))
        return false;
    json_writer_begin(json);
    yajl_gen_map_open(json->generator);
    json_put_number(json, "changes", (int64_t) item->changes);
    json_put_number(json, "copied", (int64_t) item->copied);
    return add_counts(steps, PROOF_LEFT_OUT, text, json, err);
}

static bool add_left_outs(struct steps *steps, const struct config *config, struct json_writer *json,
                          struct error *err) {
    struct left_out item;
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct sink_config *sink = &config->sinks[i].sink;
        for (size_t k = 0; sink->left_out != NULL && left_out_at(sink->left_out, k, &item); k++)
            if (!add_left_out(steps, sink->name, &item, json, err))
                return false;
    }
    return true;
}

static bool add_run(struct steps *steps, const struct config *config, const struct ledger *ledger,
                    struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    for (size_t i = 0; i < ledger->count; i++)
        if (!add_table(steps, ledger->tables[i], &json, err))
            return false;
    return add_left_outs(steps, config, &json, err);
}

bool proof_store_run(struct steps *steps, const struct config *config, const struct ledger *ledger,
                     struct error *err) {
    if (!session_execute(&steps->session, "begin", err))
        return false;
    const bool is_written = add_run(steps, config, ledger, err);
    FAULT_POINT("proof-counted");
    if (!end_transaction(steps, is_written, err))
        return false;
    for (size_t i = 0; i < config->sink_count; i++)
        if (config->sinks[i].sink.left_out != NULL)
            left_out_forget(config->sinks[i].sink.left_out);
    return true;
}
