/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_html.c - a report as one page (cdc/base/page.h).
 */
#include <inttypes.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/page.h"
#include "cdc/migrate/report/report.h"

static void append_head(struct buffer *page, const struct report *report) {
    buffer_append_text(page, "<p>");
    for (size_t i = 0; i < sizeof report->servers / sizeof *report->servers; i++) {
        page_text(page, report->servers[i].where);
        buffer_printf(page, ": PostgreSQL %s, database <b>", report->servers[i].version);
        page_text(page, report->servers[i].database);
        buffer_append_text(page, "</b><br>");
    }
    buffer_printf(page, "pgcdc %s, %s<br>", report->pgcdc, report_time(report->made_us).text);
}

static void append_open(struct buffer *page, const struct report *report) {
    if (report_closes(report)) {
        buffer_append_text(page, "<div class=\"verdict ready\">Everything closes</div>\n");
        return;
    }
    buffer_append_text(page, "<div class=\"verdict problem\">It does not close</div>\n<pre>");
    page_lines(page, report->open.data);
    buffer_append_text(page, "</pre>\n");
}

static void append_steps(struct buffer *page, const struct report *report) {
    buffer_append_text(page, "<h2>Steps</h2>\n<table><tr><th>Step<th>State<th>Begun<th>Ended\n");
    for (size_t i = 0; i < report->steps.count; i++) {
        const struct step *step = &report->steps.steps[i];
        buffer_append_text(page, "<tr><td>");
        page_text(page, step->name);
        buffer_printf(page, "<td>%s<td>%s<td>%s\n", step_state_name(step->state),
                      report_time(step->started_us).text, report_time(step->ended_us).text);
    }
    buffer_append_text(page, "</table>\n");
    if (report->outage_ms >= 0)
        buffer_printf(page, "<p>Outage of the cutover: %s\n", amount_duration(report->outage_ms).text);
}

static void append_table(struct buffer *page, const struct proof_table *table) {
    buffer_append_text(page, "<tr><td>");
    page_text(page, table->name);
    buffer_append_text(page, "<td>");
    page_text(page, table->result != NULL ? table->result : "not compared");
    page_count(page, (int64_t) table->source_rows);
    page_count(page, (int64_t) table->target_rows);
    buffer_printf(page, "<td>%s%s%s<td>%s", table->source_hash,
                  strcmp(table->source_hash, table->target_hash) != 0 ? " / " : "",
                  strcmp(table->source_hash, table->target_hash) != 0 ? table->target_hash : "", table->lsn);
    for (int side = 0; side < LEDGER_SIDES; side++)
        page_count(page, table->is_counted ? (int64_t) table->counts[side] : 0);
    buffer_append_text(page, "\n");
}

static void append_tables(struct buffer *page, const struct proof *proof) {
    buffer_append_text(page, "<h2>Tables</h2>\n<table><tr><th>Table<th>Result<th class=\"n\">Source rows<th "
                             "class=\"n\">Target rows<th>Hash<th>LSN<th class=\"n\">Changes in<th "
                             "class=\"n\">Applied<th class=\"n\">In the copy<th class=\"n\">Present<th "
                             "class=\"n\">Skipped\n");
    for (size_t i = 0; i < proof->count && i < REPORT_ROWS_SHOWN_MAX; i++)
        append_table(page, &proof->tables[i]);
    buffer_append_text(page, "</table>\n");
    if (proof->count > REPORT_ROWS_SHOWN_MAX)
        buffer_printf(page, "<p>And %zu more, which pgcdc report --json lists.\n",
                      proof->count - REPORT_ROWS_SHOWN_MAX);
}

static void append_sequences(struct buffer *page, const struct report *report) {
    buffer_append_text(page, "<h2>Sequences</h2>\n");
    if (!report->has_sequences) {
        buffer_append_text(page, "<p>Not compared.\n");
        return;
    }
    buffer_append_text(page, "<table><tr><th>Sequence<th>State<th class=\"n\">Source<th "
                             "class=\"n\">Target\n");
    for (size_t i = 0; i < report->sequences.count && i < REPORT_ROWS_SHOWN_MAX; i++) {
        const struct sequence *sequence = &report->sequences.items[i];
        buffer_append_text(page, "<tr><td>");
        page_text(page, sequence->schema);
        buffer_append_text(page, ".");
        page_text(page, sequence->name);
        buffer_printf(page, "<td>%s<td class=\"n\">%" PRId64 "<td class=\"n\">%" PRId64 "\n",
                      sequence_state_name(sequence->state), sequence->source.last_value,
                      sequence->target.last_value);
    }
    buffer_append_text(page, "</table>\n");
}

static void append_schema(struct buffer *page, const struct report *report) {
    buffer_append_text(page, "<h2>Schema</h2>\n");
    if (!report->has_schema) {
        buffer_append_text(page, "<p>Not compared.\n");
        return;
    }
    buffer_printf(page, "<p>%zu compared: %zu missing, %zu different, %zu only at the target\n",
                  report->schema.objects, report->schema.counts[SCHEMA_MISSING],
                  report->schema.counts[SCHEMA_DIFFERENT], report->schema.counts[SCHEMA_EXTRA]);
}

static void append_warnings(struct buffer *page, const struct findings *findings) {
    buffer_append_text(page, "<h2>Warnings of the plan</h2>\n");
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next) {
        buffer_printf(page, "<div class=\"finding %s\"><b>%s</b> <span class=\"where\">",
                      finding->is_accepted ? "accepted" : "warning",
                      finding->is_accepted ? "accepted" : "not accepted");
        page_text(page, finding->where);
        buffer_append_text(page, " · ");
        page_text(page, finding->code);
        buffer_append_text(page, "</span><br>");
        page_text(page, finding->what);
        buffer_append_text(page, "</div>\n");
    }
    if (findings->first == NULL)
        buffer_append_text(page, "<p>None.\n");
}

static void append_roles(struct buffer *page, const struct report *report) {
    for (size_t i = 0; i < report->roles.count; i++)
        if (report->roles.items[i].lacks_password) {
            buffer_append_text(page, "<p>Role <b>");
            page_text(page, report->roles.items[i].name);
            buffer_append_text(page, "</b> was made and has no password yet.\n");
        }
}

void report_append_html(struct buffer *page, const struct report *report) {
    append_head(page, report);
    append_open(page, report);
    append_steps(page, report);
    append_tables(page, &report->proof);
    report_append_left_out(page, report);
    append_sequences(page, report);
    append_schema(page, report);
    append_roles(page, report);
    append_warnings(page, &report->findings);
}

bool report_write_html(struct report *report, const char *path, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct buffer body AUTO(buffer_release) = {0};
    struct buffer page AUTO(buffer_release) = {0};
    struct report_hash hash;
    if (!report_write_body(report, &json, &body, &hash, err))
        return false;
    page_begin(&page, "Migration report", report->config->name);
    report_append_html(&page, report);
    buffer_printf(&page, "<p><small>SHA-256 of the report as JSON: %s</small>\n", hash.text);
    return page_end(&page, path, err);
}
