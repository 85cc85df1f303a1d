/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_text.c - a report at a terminal.
 */
#include <inttypes.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/visible.h"
#include "cdc/migrate/report/report.h"

static void print_name(FILE *file, const char *before, const char *name) {
    fputs(before, file);
    visible_print(file, slice_of(name));
}

static void print_servers(const struct report *report, FILE *file) {
    for (size_t i = 0; i < sizeof report->servers / sizeof *report->servers; i++) {
        const struct report_server *server = &report->servers[i];
        print_name(file, server->where, "");
        fprintf(file, ": %s%s", server->version[0] != '\0' ? "PostgreSQL " : "cannot be reached",
                server->version);
        print_name(file, server->database[0] != '\0' ? ", database " : "", server->database);
        fputc('\n', file);
    }
}

static void print_tables(const struct report *report, FILE *file) {
    uint64_t rows = 0, changes = 0;
    size_t equal = 0;
    for (size_t i = 0; i < report->proof.count; i++) {
        const struct proof_table *table = &report->proof.tables[i];
        rows += table->target_rows;
        changes += table->counts[LEDGER_IN];
        equal += table->is_equal;
        print_name(file, "  ", table->name);
        fprintf(file, ": %s, hash %s at the source, %s, hash %s at the target, at LSN %s\n",
                amount_count(table->source_rows, "row").text, table->source_hash,
                amount_count(table->target_rows, "row").text, table->target_hash, table->lsn);
    }
    fprintf(file, "tables: %zu of %zu equal, %s, %s\n", equal, report->proof.count,
            amount_count(rows, "row").text, amount_count(changes, "change").text);
}

static void print_rest(const struct report *report, FILE *file) {
    const struct sequence_list *sequences = &report->sequences;
    const size_t fit = sequences->counts[SEQUENCE_EQUAL] + sequences->counts[SEQUENCE_AHEAD];
    if (report->has_sequences)
        fprintf(file, "sequences: %zu of %zu equal or ahead\n", fit, sequences->count);
    if (report->has_schema)
        fprintf(file, "schema: %zu compared, %zu missing, %zu different, %zu only at the target\n",
                report->schema.objects, report->schema.counts[SCHEMA_MISSING],
                report->schema.counts[SCHEMA_DIFFERENT], report->schema.counts[SCHEMA_EXTRA]);
    fprintf(file, "warnings of the plan: %zu accepted, %zu not\n", report->findings.accepted_count,
            report->findings.counts[SEVERITY_WARNING]);
    if (report->outage_ms >= 0)
        fprintf(file, "outage of the cutover: %s\n", amount_duration(report->outage_ms).text);
}

static void print_open(const struct report *report, FILE *file) {
    if (report_closes(report)) {
        fputs("everything closes\n", file);
        return;
    }
    fputs("open:\n", file);
    for (const char *line = report->open.data, *end = line + report->open.size; line < end;) {
        const char *stop = memchr(line, '\n', (size_t) (end - line));
        const size_t size = stop != NULL ? (size_t) (stop - line) : (size_t) (end - line);
        fputs("  ", file);
        visible_print(file, (struct slice){.data = line, .size = size});
        fputc('\n', file);
        line += size + 1;
    }
}

static void print_roles(const struct report *report, FILE *file) {
    for (size_t i = 0; i < report->roles.count; i++)
        if (report->roles.items[i].lacks_password) {
            print_name(file, "role ", report->roles.items[i].name);
            fputs(" was made and has no password yet\n", file);
        }
}

void report_print_part(const struct report *report, FILE *file) {
    fprintf(file, "migration of pipeline %s into sink %s\n", report->config->name, report->sink->sink.name);
    print_servers(report, file);
    print_tables(report, file);
    report_print_left_out(report, file);
    print_rest(report, file);
    print_roles(report, file);
    print_open(report, file);
}

bool report_print(struct report *report, FILE *file, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct buffer body AUTO(buffer_release) = {0};
    struct report_hash hash;
    if (!report_write_body(report, &json, &body, &hash, err))
        return false;
    report_print_part(report, file);
    fprintf(file, "sha256 of the report as JSON: %s\n", hash.text);
    return true;
}
