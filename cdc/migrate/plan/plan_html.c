/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_html.c - a plan as one page (cdc/base/page.h).
 */
#include <inttypes.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/page.h"
#include "cdc/migrate/plan/plan.h"

enum {
    OBJECTS_SHOWN_MAX = 2000, /* of a class; a browser is slow with more */
};

/* ---- the head ---- */

static void append_servers(struct buffer *page, const struct plan *plan) {
    buffer_append_text(page, "<p>");
    for (size_t i = 0; i < plan->server_count; i++) {
        page_text(page, plan->servers[i].where);
        buffer_printf(page, ": PostgreSQL %s, database <b>", plan->servers[i].version);
        page_text(page, plan->servers[i].database);
        buffer_append_text(page, "</b><br>");
    }
    page_date(page);
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
        page_text(page, plan->steps[i].what);
        buffer_append_text(page, "<td>");
        page_text(page, plan->steps[i].locks);
        buffer_printf(page, "<td class=\"n\">%s\n",
                      plan->steps[i].ms < 0 ? "" : amount_duration(plan->steps[i].ms).text);
    }
    buffer_append_text(page, "</table>\n");
}

static void append_finding(struct buffer *page, const struct finding *finding, const char *verdict) {
    buffer_printf(page, "<div class=\"finding %s\"><b>%s</b> <span class=\"where\">", verdict, verdict);
    page_text(page, finding->where);
    buffer_printf(page, " · %s</span><br>", finding->code);
    page_text(page, finding->what);
    if (finding->fix[0] != '\0') {
        buffer_append_text(page, "<pre>");
        page_lines(page, finding->fix);
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
        page_text(page, object->schema);
        buffer_append_text(page, ".");
    }
    page_text(page, object->name);
    buffer_append_text(page, "<td>");
    page_text(page, object->detail);
    buffer_append_text(page, "<td>");
    page_text(page, object->owner != NULL ? object->owner : "");
    page_count(page, object->rows);
    page_bytes(page, object->bytes);
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
    append_servers(page, plan);
    append_verdict(page, &plan->check->findings);
    if (plan->has_inventory) {
        append_figures(page, plan);
        append_steps(page, plan);
    }
    append_findings(page, &plan->check->findings);
    if (plan->has_inventory)
        append_inventory(page, &plan->inventory);
}

bool plan_write_html(const struct plan *plan, const char *path, struct error *err) {
    struct buffer page AUTO(buffer_release) = {0};
    page_begin(&page, "Migration plan", plan->check->config->name);
    append_page(&page, plan);
    return page_end(&page, path, err);
}
