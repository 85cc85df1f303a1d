/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_left_out.c - what the target lacks on purpose: rows by rule, and dead letters that were skipped.
 */
#include <inttypes.h>

#include "cdc/base/amount.h"
#include "cdc/base/page.h"
#include "cdc/base/visible.h"
#include "cdc/migrate/report/report.h"

/* ---- for programs ---- */

static void put_rule(struct json_writer *json, const struct proof_left_out *item) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "sink", item->sink);
    json_put_field(json, "rule", item->rule);
    json_put_field(json, "table", item->table);
    json_put_number(json, "changes", (int64_t) item->changes);
    json_put_number(json, "copied_rows", (int64_t) item->copied);
    yajl_gen_map_close(json->generator);
}

static void put_skipped(struct json_writer *json, const struct report_skipped *letter) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "sink", letter->sink);
    json_put_field(json, "table", letter->table);
    json_put_key(json, "id");
    json_put_raw(json, slice_of(letter->id));
    json_put_field(json, "commit_lsn", letter->lsn);
    json_put_key(json, "index");
    json_put_raw(json, slice_of(letter->change));
    json_put_field(json, "reason", letter->reason);
    json_put_field(json, "by", letter->done_by);
    json_put_field(json, "at", letter->at);
    yajl_gen_map_close(json->generator);
}

void report_put_left_out(struct json_writer *json, const struct report *report) {
    json_put_key(json, "left_out");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < report->proof.left_out_count; i++)
        put_rule(json, &report->proof.left_out[i]);
    yajl_gen_array_close(json->generator);
    json_put_key(json, "skipped_letters");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < report->skipped_count; i++)
        put_skipped(json, &report->skipped[i]);
    yajl_gen_array_close(json->generator);
}

/* ---- at a terminal ---- */

static void print_shown(FILE *file, const char *before, const char *text) {
    fputs(before, file);
    visible_print(file, slice_of(text));
}

void report_print_left_out(const struct report *report, FILE *file) {
    for (size_t i = 0; i < report->proof.left_out_count; i++) {
        const struct proof_left_out *item = &report->proof.left_out[i];
        print_shown(file, "left out of sink ", item->sink);
        print_shown(file, " by rule ", item->rule);
        print_shown(file, ", of ", item->table);
        fprintf(file, ": %s, and %s of copies\n", amount_count(item->changes, "change").text,
                amount_count(item->copied, "row").text);
    }
    for (size_t i = 0; i < report->skipped_count; i++) {
        const struct report_skipped *letter = &report->skipped[i];
        print_shown(file, "dead letter ", letter->id);
        print_shown(file, " of sink ", letter->sink);
        print_shown(file, " was skipped: ", letter->table);
        print_shown(file, ", LSN ", letter->lsn);
        print_shown(file, ", by ", letter->done_by);
        print_shown(file, " at ", letter->at);
        print_shown(file, ": ", letter->reason);
        fputc('\n', file);
    }
}

/* ---- in a browser ---- */

static void append_cell(struct buffer *page, const char *text) {
    buffer_append_text(page, "<td>");
    page_text(page, text);
}

static void append_rules(struct buffer *page, const struct report *report) {
    buffer_append_text(page, "<h2>Rows left out by rules</h2>\n<table><tr><th>Sink<th>Rule<th>Table"
                             "<th class=\"n\">Changes<th class=\"n\">Rows of copies\n");
    for (size_t i = 0; i < report->proof.left_out_count && i < REPORT_ROWS_SHOWN_MAX; i++) {
        const struct proof_left_out *item = &report->proof.left_out[i];
        buffer_append_text(page, "<tr>");
        append_cell(page, item->sink);
        append_cell(page, item->rule);
        append_cell(page, item->table);
        page_count(page, (int64_t) item->changes);
        page_count(page, (int64_t) item->copied);
        buffer_append_text(page, "\n");
    }
    buffer_append_text(page, "</table>\n");
}

static void append_letters(struct buffer *page, const struct report *report) {
    buffer_append_text(page, "<h2>Dead letters that were skipped</h2>\n<table><tr><th>Sink<th>Letter<th>Table"
                             "<th>LSN<th>By<th>At<th>Reason\n");
    for (size_t i = 0; i < report->skipped_count && i < REPORT_ROWS_SHOWN_MAX; i++) {
        const struct report_skipped *letter = &report->skipped[i];
        buffer_append_text(page, "<tr>");
        append_cell(page, letter->sink);
        append_cell(page, letter->id);
        append_cell(page, letter->table);
        append_cell(page, letter->lsn);
        append_cell(page, letter->done_by);
        append_cell(page, letter->at);
        append_cell(page, letter->reason);
        buffer_append_text(page, "\n");
    }
    buffer_append_text(page, "</table>\n");
}

static void append_unshown(struct buffer *page, size_t count) {
    if (count > REPORT_ROWS_SHOWN_MAX)
        buffer_printf(page, "<p>And %zu more, which pgcdc report --json lists.\n",
                      count - REPORT_ROWS_SHOWN_MAX);
}

void report_append_left_out(struct buffer *page, const struct report *report) {
    if (report->proof.left_out_count > 0)
        append_rules(page, report);
    append_unshown(page, report->proof.left_out_count);
    if (report->skipped_count > 0)
        append_letters(page, report);
    append_unshown(page, report->skipped_count);
}
