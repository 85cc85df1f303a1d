/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_html.c - a plan as one page for a browser and for paper: it loads nothing and runs nothing.
 *
 * Every text that is not ours is escaped twice: what a terminal would obey as in visible.h, then HTML.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/file.h"
#include "cdc/base/visible.h"
#include "cdc/migrate/plan/plan.h"

#define PAGE_BYTES_MAX ((size_t) 256 << 20)
#define TEXT_BYTES_MAX ((size_t) 64 << 20)

enum {
    OBJECTS_SHOWN_MAX = 2000, /* of a class; a browser is slow with more */
    VISIBLE_BYTES = 4,        /* at most, for a byte: \xNN */
};

static const char HEAD[] = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                           "style-src 'unsafe-inline'\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width\">\n";

static const char STYLE[] =
    "<style>\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:64em;margin:2em "
    "auto;padding:0 1em}\n"
    "h1{font-size:1.6em;margin:0}h2{font-size:1.2em;margin:2em 0 .5em;border-bottom:1px solid #ccc}\n"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em "
    ".6em;vertical-align:top;border-bottom:1px solid #e4e4e4}\n"
    "td.n,th.n{text-align:right;white-space:nowrap}td{overflow-wrap:anywhere}\n"
    "pre{background:#f5f5f5;padding:.5em .8em;margin:.3em 0;white-space:pre-wrap;overflow-wrap:anywhere;"
    "font-size:.9em}\n"
    ".finding{border-left:4px solid;padding:.1em .8em;margin:.8em 0;break-inside:avoid}.where{color:#666}\n"
    ".verdict{padding:.8em 1em;margin:1em 0;border-left:6px solid;font-weight:600}\n"
    ".problem{border-color:#b3261e}.warning{border-color:#b26a00}.ready{border-color:#2e7d32}\n"
    ".note,.accepted{border-color:#888}\n"
    ".figures{display:flex;flex-wrap:wrap;gap:.6em 2em}.figures b{display:block;font-size:1.4em}\n"
    "summary{cursor:pointer}small{color:#666}\n"
    "@media print{body{margin:0;max-width:none;font-size:11px}h2{break-after:avoid}tr{break-inside:avoid}}\n"
    "</style>\n";

/* ---- text ---- */

static void append_escaped(struct buffer *page, struct slice text) {
    for (size_t i = 0; i < text.size; i++)
        switch (text.data[i]) {
        case '&':
            buffer_append_text(page, "&amp;");
            break;
        case '<':
            buffer_append_text(page, "&lt;");
            break;
        case '>':
            buffer_append_text(page, "&gt;");
            break;
        case '"':
            buffer_append_text(page, "&quot;");
            break;
        case '\'':
            buffer_append_text(page, "&#39;");
            break;
        default:
            buffer_append(page, text.data + i, 1);
        }
}

/* One line. */
static void append_line(struct buffer *page, struct slice text) {
    struct buffer line AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const size_t size = text.size * VISIBLE_BYTES + 1;
    if (!buffer_reserve(&line, size)) {
        page->failed = true;
        return;
    }
    const size_t length = visible_write(line.data, size, text);
    append_escaped(page, (struct slice){.data = line.data, .size = length});
}

static void append_text(struct buffer *page, const char *text) {
    append_line(page, slice_of(text));
}

/* The line feeds are ours. */
static void append_lines(struct buffer *page, const char *text) {
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        append_line(page, (struct slice){.data = text, .size = length});
        if (text[length] == '\n')
            buffer_append_text(page, "\n");
        text += length + (text[length] == '\n');
    }
}

static void append_count(struct buffer *page, int64_t count) {
    if (count < 0)
        buffer_append_text(page, "<td class=\"n\">?");
    else
        buffer_printf(page, "<td class=\"n\">%" PRId64, count);
}

static void append_bytes(struct buffer *page, int64_t bytes) {
    buffer_printf(page, "<td class=\"n\">%s", bytes < 0 ? "" : amount_bytes((double) bytes).text);
}

/* ---- the head ---- */

static void append_date(struct buffer *page) {
    const time_t now = (time_t) (clock_unix_us() / 1000000);
    struct tm parts;
    char text[64] = "";
    if (gmtime_r(&now, &parts) != NULL)
        strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
    append_text(page, text);
}

static void append_servers(struct buffer *page, const struct plan *plan) {
    buffer_append_text(page, "<p>");
    for (size_t i = 0; i < plan->server_count; i++) {
        append_text(page, plan->servers[i].where);
        buffer_printf(page, ": PostgreSQL %s, database <b>", plan->servers[i].version);
        append_text(page, plan->servers[i].database);
        buffer_append_text(page, "</b><br>");
    }
    append_date(page);
}

static void append_verdict(struct buffer *page, const struct findings *findings) {
    const size_t problems = findings->counts[SEVERITY_PROBLEM], warnings = findings->counts[SEVERITY_WARNING];
    buffer_printf(page, "<div class=\"verdict %s\">%s: %s, %s",
                  problems > 0   ? "problem"
                  : warnings > 0 ? "warning"
                                 : "ready",
                  problems > 0 ? "Not ready" : "Ready", amount_count(problems, "problem").text,
                  amount_count(warnings, "warning").text);
    if (findings->accepted_count > 0)
        buffer_printf(page, ", %zu accepted", findings->accepted_count);
    buffer_append_text(page, "</div>\n");
}

static void append_figure(struct buffer *page, const char *value, const char *name) {
    buffer_printf(page, "<div><b>%s</b>%s</div>", value, name);
}

static void append_figures(struct buffer *page, const struct plan *plan) {
    const struct plan_estimate *estimate = &plan->estimate;
    buffer_append_text(page, "<div class=\"figures\">");
    append_figure(page, amount_count((uint64_t) estimate->table_count, "table").text, "that move");
    append_figure(page, amount_count((uint64_t) estimate->rows, "row").text,
                  estimate->unknown_rows > 0 ? "and more: some tables have no statistics" : "about");
    append_figure(page, amount_bytes((double) estimate->bytes).text, "of rows");
    append_figure(page, amount_bytes((double) estimate->index_bytes).text, "of indexes");
    append_figure(page, amount_bytes((double) estimate->disk_bytes).text, "of disk at the target");
    append_figure(page, estimate->wal_bytes < 0 ? "unknown" : amount_bytes((double) estimate->wal_bytes).text,
                  "of WAL kept by the source");
    append_figure(page, amount_duration(estimate->copy_ms).text, "to copy");
    append_figure(page, amount_duration(estimate->index_ms).text, "to build indexes");
    buffer_printf(
        page,
        "</div><p><small>Rows are the catalog's estimates. Times assume %s a second for the copy and %s "
        "for indexes; they are no promise.</small>\n",
        amount_bytes((double) plan->assumptions.copy_bytes).text,
        amount_bytes((double) plan->assumptions.index_bytes).text);
}

/* ---- sections ---- */

static void append_steps(struct buffer *page, const struct plan *plan) {
    buffer_append_text(page, "<h2>Order of work</h2>\n<table><tr><th class=\"n\">Step<th>What<th>Locks<th "
                             "class=\"n\">About\n");
    for (size_t i = 0; i < plan->step_count; i++) {
        buffer_printf(page, "<tr><td class=\"n\">%zu<td>", i + 1);
        append_text(page, plan->steps[i].what);
        buffer_append_text(page, "<td>");
        append_text(page, plan->steps[i].locks);
        buffer_printf(page, "<td class=\"n\">%s\n",
                      plan->steps[i].ms < 0 ? "" : amount_duration(plan->steps[i].ms).text);
    }
    buffer_append_text(page, "</table>\n");
}

static void append_finding(struct buffer *page, const struct finding *finding, const char *verdict) {
    buffer_printf(page, "<div class=\"finding %s\"><b>%s</b> <span class=\"where\">", verdict, verdict);
    append_text(page, finding->where);
    buffer_printf(page, " · %s</span><br>", finding->code);
    append_text(page, finding->what);
    if (finding->fix[0] != '\0') {
        buffer_append_text(page, "<pre>");
        append_lines(page, finding->fix);
        buffer_append_text(page, "</pre>");
    }
    buffer_append_text(page, "</div>\n");
}

static void append_findings(struct buffer *page, const struct findings *findings) {
    static const char *const VERDICTS[] = {"problem", "warning", "note"};
    buffer_append_text(page, "<h2>Findings</h2>\n");
    for (int severity = 0; severity < SEVERITY_COUNT; severity++)
        for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next)
            if (finding->severity == (enum severity) severity)
                append_finding(page, finding, finding->is_accepted ? "accepted" : VERDICTS[severity]);
    if (findings->first == NULL)
        buffer_append_text(page, "<p>None.\n");
}

static void append_object(struct buffer *page, const struct inventory_object *object) {
    buffer_append_text(page, "<tr><td>");
    if (object->schema != NULL) {
        append_text(page, object->schema);
        buffer_append_text(page, ".");
    }
    append_text(page, object->name);
    buffer_append_text(page, "<td>");
    append_text(page, object->detail);
    buffer_append_text(page, "<td>");
    append_text(page, object->owner != NULL ? object->owner : "");
    append_count(page, object->rows);
    append_bytes(page, object->bytes);
    buffer_printf(page, "<td>%s\n", how_text(object->how));
}

static void append_class(struct buffer *page, const struct inventory_class *class) {
    if (class->count == 0)
        return;
    buffer_printf(page, "<details%s><summary><b>%s</b>: %zu", class->count <= 20 ? " open" : "", class->title,
                  class->count);
    if (class->bytes > 0)
        buffer_printf(page, ", %s", amount_bytes((double) class->bytes).text);
    if (class->remark != NULL)
        buffer_printf(page, " <small>%s</small>", class->remark);
    buffer_append_text(page, "</summary><table><tr><th>Name<th>Kind<th>Owner<th class=\"n\">Rows<th "
                             "class=\"n\">Size<th>How it moves\n");
    for (size_t i = 0; i < class->count && i < OBJECTS_SHOWN_MAX; i++)
        append_object(page, &class->objects[i]);
    buffer_append_text(page, "</table>");
    if (class->count > OBJECTS_SHOWN_MAX)
        buffer_printf(page, "<p>And %zu more, which pgcdc plan --json lists.\n",
                      class->count - OBJECTS_SHOWN_MAX);
    buffer_append_text(page, "</details>\n");
}

static void append_inventory(struct buffer *page, const struct inventory *inventory) {
    buffer_append_text(page, "<h2>Inventory</h2>\n");
    for (size_t i = 0; i < inventory->class_count; i++)
        append_class(page, &inventory->classes[i]);
}

static void append_page(struct buffer *page, const struct plan *plan) {
    buffer_append_text(page, HEAD);
    buffer_printf(page, "<title>Migration plan: %s</title>\n", plan->check->config->name);
    buffer_append_text(page, STYLE);
    buffer_printf(page, "</head><body>\n<h1>Migration plan: %s</h1>\n", plan->check->config->name);
    append_servers(page, plan);
    append_verdict(page, &plan->check->findings);
    if (plan->has_inventory) {
        append_figures(page, plan);
        append_steps(page, plan);
    }
    append_findings(page, &plan->check->findings);
    if (plan->has_inventory)
        append_inventory(page, &plan->inventory);
    buffer_append_text(page, "</body></html>\n");
}

/* ---- the file ---- */

static bool write_page(const char *path, struct slice page, struct error *err) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return error_errno(err, "%s", path);
    const bool is_written = file_write(fd, page);
    const int why = errno;
    const bool is_closed = close(fd) == 0;
    if (is_written && is_closed)
        return true;
    errno = is_written ? errno : why;
    return error_errno(err, "%s", path);
}

bool plan_write_html(const struct plan *plan, const char *path, struct error *err) {
    struct buffer page AUTO(buffer_release) = {.bytes_max = PAGE_BYTES_MAX};
    append_page(&page, plan);
    return buffer_ok(&page) ? write_page(path, buffer_slice(&page), err) : error_no_memory(err);
}
