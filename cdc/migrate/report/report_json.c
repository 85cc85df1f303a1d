/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_json.c - a report as one line of JSON, and the hash of it.
 *
 * The body is written once, in a fixed order, and its bytes are hashed by the target's own sha256.
 */
#include <inttypes.h>
#include <string.h>

#include "cdc/migrate/report/report.h"
#include "cdc/migrate/steps/step_detail.h"

#define HEX_BYTES_MAX ((size_t) 512 << 20)

static void put_boolean(struct json_writer *json, const char *key, bool value) {
    json_put_key(json, key);
    yajl_gen_bool(json->generator, value);
}

static void put_or_null(struct json_writer *json, const char *key, const char *text) {
    json_put_key(json, key);
    if (text == NULL || text[0] == '\0')
        yajl_gen_null(json->generator);
    else
        json_put_text(json, slice_of(text));
}

static void open_array(struct json_writer *json, const char *key) {
    json_put_key(json, key);
    yajl_gen_array_open(json->generator);
}

static void put_open(struct json_writer *json, const struct report *report) {
    const char *line = report->open.size > 0 ? report->open.data : "";
    const char *end = line + report->open.size;
    open_array(json, "open");
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t) (end - line));
        const size_t size = stop != NULL ? (size_t) (stop - line) : (size_t) (end - line);
        json_put_text(json, (struct slice){.data = line, .size = size});
        line += size + 1;
    }
    yajl_gen_array_close(json->generator);
}

static void put_servers(struct json_writer *json, const struct report *report) {
    open_array(json, "servers");
    for (size_t i = 0; i < sizeof report->servers / sizeof *report->servers; i++) {
        const struct report_server *server = &report->servers[i];
        yajl_gen_map_open(json->generator);
        put_or_null(json, "where", server->where);
        put_or_null(json, "version", server->version);
        put_or_null(json, "database", server->database);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_steps(struct json_writer *json, const struct report *report) {
    open_array(json, "steps");
    for (size_t i = 0; i < report->steps.count; i++) {
        const struct step *step = &report->steps.steps[i];
        yajl_gen_map_open(json->generator);
        json_put_field(json, "step", step->name);
        json_put_field(json, "state", step_state_name(step->state));
        put_or_null(json, "started_at", report_time(step->started_us).text);
        put_or_null(json, "ended_at", report_time(step->ended_us).text);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_ledger(struct json_writer *json, const struct proof_table *table) {
    static const char *const KEYS[LEDGER_SIDES] = {"in", "applied", "in_copy", "present", "skipped"};
    json_put_key(json, "changes");
    if (!table->is_counted) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    for (int side = 0; side < LEDGER_SIDES; side++)
        json_put_number(json, KEYS[side], (int64_t) table->counts[side]);
    put_boolean(json, "closes", proof_table_closes(table));
    yajl_gen_map_close(json->generator);
}

static void put_tables(struct json_writer *json, const struct proof *proof) {
    open_array(json, "tables");
    for (size_t i = 0; i < proof->count; i++) {
        const struct proof_table *table = &proof->tables[i];
        yajl_gen_map_open(json->generator);
        json_put_field(json, "table", table->name);
        put_or_null(json, "result", table->result);
        put_boolean(json, "equal", table->is_equal);
        json_put_number(json, "source_rows", (int64_t) table->source_rows);
        json_put_number(json, "target_rows", (int64_t) table->target_rows);
        put_or_null(json, "source_hash", table->source_hash);
        put_or_null(json, "target_hash", table->target_hash);
        put_or_null(json, "lsn", table->lsn);
        put_ledger(json, table);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_verify(struct json_writer *json, const struct proof *proof) {
    json_put_key(json, "verify");
    yajl_gen_map_open(json->generator);
    put_boolean(json, "complete", proof->is_compared);
    put_or_null(json, "lsn", proof->lsn);
    put_or_null(json, "at", report_time(proof->compared_us).text);
    yajl_gen_map_close(json->generator);
}

static void put_sequence(struct json_writer *json, const struct sequence *sequence) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "schema", sequence->schema);
    json_put_field(json, "name", sequence->name);
    json_put_field(json, "state", sequence_state_name(sequence->state));
    json_put_key(json, "source");
    json_put_integer(json, sequence->source.last_value);
    json_put_key(json, "target");
    json_put_integer(json, sequence->target.last_value);
    yajl_gen_map_close(json->generator);
}

static void put_sequences(struct json_writer *json, const struct report *report) {
    json_put_key(json, "sequences");
    if (!report->has_sequences) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < report->sequences.count; i++)
        put_sequence(json, &report->sequences.items[i]);
    yajl_gen_array_close(json->generator);
}

static void put_schema(struct json_writer *json, const struct report *report) {
    json_put_key(json, "schema");
    if (!report->has_schema) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    schema_put(&report->schema, json);
    yajl_gen_map_close(json->generator);
}

static void put_findings(struct json_writer *json, const struct findings *findings, const char *key,
                         bool accepted) {
    open_array(json, key);
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next) {
        if (finding->is_accepted != accepted)
            continue;
        yajl_gen_map_open(json->generator);
        json_put_field(json, "code", finding->code);
        json_put_field(json, "where", finding->where);
        put_or_null(json, "object", finding->object);
        json_put_field(json, "what", finding->what);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_cutover(struct json_writer *json, const struct report *report) {
    json_put_number(json, "outage_ms", report->outage_ms);
    json_put_key(json, "cutover");
    if (report->cutover == NULL)
        yajl_gen_null(json->generator);
    else
        json_put_embedded(json, slice_of(report->cutover));
}

/* Made by this program, for all databases of the file. */
static void put_roles(struct json_writer *json, const struct report *report) {
    open_array(json, "roles");
    for (size_t i = 0; i < report->roles.count; i++) {
        yajl_gen_map_open(json->generator);
        json_put_field(json, "role", report->roles.items[i].name);
        put_boolean(json, "lacks_password", report->roles.items[i].lacks_password);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_body(struct json_writer *json, const struct report *report) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "pipeline", report->config->name);
    json_put_field(json, "sink", report->sink->sink.name);
    put_boolean(json, "closes", report_closes(report));
    put_open(json, report);
    put_or_null(json, "made_at", report_time(report->made_us).text);
    json_put_field(json, "pgcdc", report->pgcdc);
    put_servers(json, report);
    put_steps(json, report);
    put_verify(json, &report->proof);
    put_tables(json, &report->proof);
    report_put_left_out(json, report);
    put_sequences(json, report);
    put_schema(json, report);
    put_findings(json, &report->findings, "accepted", true);
    put_findings(json, &report->findings, "not_accepted", false);
    put_roles(json, report);
    put_cutover(json, report);
    yajl_gen_map_close(json->generator);
}

bool report_hash_bytes(struct report *report, struct slice body, struct report_hash *ret_hash,
                       struct error *err) {
    struct buffer hex AUTO(buffer_release) = {.bytes_max = HEX_BYTES_MAX};
    PGresult *rows AUTO_PGRESULT = NULL;
    buffer_append_text(&hex, "\\x");
    for (size_t i = 0; i < body.size; i++)
        buffer_printf(&hex, "%02x", (unsigned char) body.data[i]);
    const char *text = buffer_text(&hex);
    if (text == NULL)
        return error_no_memory(err);
    if (!session_query(&report->at.session, "select pg_catalog.encode(pg_catalog.sha256($1::bytea), 'hex')",
                       1, &text, &(const struct result_shape){"the hash of the report", 1, 1, 1, 0}, &rows,
                       err))
        return false;
    snprintf(ret_hash->text, sizeof ret_hash->text, "%s", PQgetvalue(rows, 0, 0));
    return true;
}

bool report_write_body(struct report *report, struct json_writer *json, struct buffer *body,
                       struct report_hash *ret_hash, struct error *err) {
    const char *text = NULL;
    if (!json_writer_init(json, err))
        return false;
    json_writer_begin(json);
    put_body(json, report);
    return step_detail(json, body, &text, err) &&
           report_hash_bytes(report, buffer_slice(body), ret_hash, err);
}

bool report_print_json(struct report *report, FILE *file, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct buffer body AUTO(buffer_release) = {0};
    struct report_hash hash;
    if (!report_write_body(report, &json, &body, &hash, err))
        return false;
    fprintf(file, "{\"report\":%s,\"sha256\":\"%s\"}\n", buffer_text(&body), hash.text);
    return true; /* main checks whether the output arrived */
}
