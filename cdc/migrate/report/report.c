/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - gathers what a report is made from.
 *
 * What cannot be compared now, because the source is away, stays open; it is never taken for closed.
 */
#include "cdc/migrate/report/report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdc/pq/identifier.h"
#include "cdc/source/catalog.h"
#include "cdc/source/source.h"

#define BLOCK_BYTES 65536
#define ARENA_BYTES_MAX ((size_t) 1 << 30)
#define OPEN_BYTES_MAX ((size_t) 64 << 20)
#define POSTGRES_EPOCH_S INT64_C(946684800) /* 2000-01-01, since 1970 */

struct report_time report_time(int64_t us) {
    struct report_time result = {""};
    const time_t at = (time_t) (us / 1000000 + POSTGRES_EPOCH_S);
    struct tm parts;
    if (us != 0 && gmtime_r(&at, &parts) != NULL)
        strftime(result.text, sizeof result.text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return result;
}

static void take_server(struct report_server *server, const char *where, const struct session *session) {
    const int version = session->server_version;
    server->where = where;
    server->database = "";
    if (session->conn == NULL)
        return;
    server->database = PQdb(session->conn);
    snprintf(server->version, sizeof server->version, "%d.%d", version / 10000, version % 10000);
}

static bool is_undone_state(const struct step *step) {
    return step->state != STEP_DONE &&
           (strcmp(step->name, "cutover") == 0 || strcmp(step->name, "rollback") == 0);
}

/* Those for one object are counted by other parts of the report. */
static bool read_steps(struct report *report, struct error *err) {
    struct step_list all;
    if (!steps_list(&report->at, NULL, &report->arena, &all, err))
        return false;
    report->steps.steps = arena_alloc(&report->arena, (all.count + 1) * sizeof *all.steps);
    report->states.steps = arena_alloc(&report->arena, (all.count + 1) * sizeof *all.steps);
    if (report->steps.steps == NULL || report->states.steps == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < all.count; i++) {
        if (all.steps[i].object[0] == '\0')
            report->steps.steps[report->steps.count++] = all.steps[i];
        if (is_undone_state(&all.steps[i]))
            report->states.steps[report->states.count++] = all.steps[i];
    }
    return true;
}

static bool read_cutover(struct report *report, struct error *err) {
    static const char SQL[] =
        "select (extract(epoch from pg_catalog.clock_timestamp() - '2000-01-01 00:00:00+00') * "
        "1000000)::bigint,"
        " coalesce((select (detail::json ->> 'outage_ms')::numeric::bigint from pgcdc.migration"
        "  where pipeline = $1 and step = 'cutover' and object = ''), -1)";
    PGresult *rows AUTO_PGRESULT = NULL;
    struct step cutover;
    report->outage_ms = -1;
    if (!report->at.exists)
        return true;
    if (!session_query(&report->at.session, SQL, 1, &report->at.pipeline,
                       &(const struct result_shape){"the query for the outage", 1, 1, 2, 0}, &rows, err) ||
        !steps_read(&report->at, "cutover", "", &report->arena, &cutover, err))
        return false;
    report->made_us = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    report->outage_ms = strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
    report->cutover = cutover.detail;
    return true;
}

/* Why a comparison of now could not be made. Stopped is the only failure of the report itself. */
static bool note_undone(struct report *report, const char *what, struct error *error, struct error *err) {
    if (error->kind == ERROR_STOPPED) {
        *err = *error;
        return false;
    }
    buffer_printf(&report->open, "%s: not compared: %s\n", what, error_line(error).text);
    return true;
}

static bool compare_sequences(struct report *report, struct error *err) {
    struct sequences_config config = report->config->sequences;
    struct error why = {0};
    if (config.follow == SEQUENCES_NONE)
        config.follow = SEQUENCES_TABLES;
    const struct sequence_terms terms = {.config = &config,
                                         .publications = report->config->source.publication_array};
    report->has_sequences = sequences_compare(&report->source, &report->at.session, &terms, &report->arena,
                                              &report->sequences, &why);
    return report->has_sequences || note_undone(report, "sequences", &why, err);
}

static bool compare_schema(struct report *report, struct error *err) {
    struct error why = {0};
    report->has_schema = schema_compare(report->config, report->sink, report->stop, &report->schema, &why);
    return report->has_schema || note_undone(report, "schema", &why, err);
}

static bool is_compared(const struct report *report, const char *name) {
    for (size_t i = 0; i < report->proof.count; i++)
        if (strcmp(report->proof.tables[i].name, name) == 0)
            return report->proof.tables[i].result != NULL;
    return false;
}

/* A table that was added since has no row yet, or only that of its changes. */
static void note_uncompared(struct report *report, const struct table_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
        identifier_append_printable_qualified(&name, slice_of(list->tables[i].schema),
                                              slice_of(list->tables[i].name));
        if (buffer_text(&name) == NULL || !is_compared(report, name.data))
            buffer_printf(&report->open, "table %s: it is published and was not compared\n",
                          buffer_text(&name) != NULL ? name.data : "?");
    }
}

static bool compare_tables(struct report *report, struct error *err) {
    struct table_list list;
    struct error why = {0};
    if (!catalog_read_tables(&report->source, report->config->source.publication_array, &report->arena, &list,
                             &why))
        return note_undone(report, "the published tables", &why, err);
    note_uncompared(report, &list);
    return true;
}

static bool compare_now(struct report *report, struct error *err) {
    struct error why = {0};
    if (!source_open(&report->source, &report->config->source, report->stop, &why)) {
        take_server(&report->servers[0], "source", &report->source);
        return note_undone(report, "sequences and schema", &why, err);
    }
    take_server(&report->servers[0], "source", &report->source);
    return compare_tables(report, err) && compare_sequences(report, err) && compare_schema(report, err);
}

static bool refuse_archive(const struct report *report, struct error *err) {
    const char *archive = report->config->source.archive;
    return archive == NULL ||
           error_set(err, ERROR_CONFIG, "the pipeline reads archive %s, and has no source to compare with",
                     archive);
}

bool report_make(struct report *report, struct error *err) {
    arena_init(&report->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    buffer_init(&report->open, OPEN_BYTES_MAX);
    findings_init(&report->findings);
    if (!refuse_archive(report, err) ||
        !steps_open(&report->at, report->config, report->sink, report->stop, err))
        return false;
    take_server(&report->servers[1], "target", &report->at.session);
    return read_steps(report, err) && proof_read(&report->at, &report->arena, &report->proof, err) &&
           read_cutover(report, err) &&
           globals_list_roles(report->config, report->sink, report->stop, &report->arena, &report->roles,
                              err) &&
           report_read_findings(report, err) && report_read_skipped(report, err) &&
           compare_now(report, err) && report_judge(report, err);
}

void report_release(struct report *report) {
    schema_comparison_release(&report->schema);
    findings_release(&report->findings);
    session_close(&report->source);
    steps_close(&report->at);
    buffer_release(&report->open);
    arena_release(&report->arena);
}
