/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.c - the table of paths.
 */
#include "cdc/http/pages.h"

#include "cdc/http/health.h"
#include "cdc/http/metrics_page.h"
#include "cdc/http/status_json.h"
#include "page_text.h"

#define HTML_TYPE "text/html; charset=utf-8"
#define JSON_TYPE "application/json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void put_verdict(struct page *page, bool is_good, const char *yes, const char *no,
                        struct buffer *words) {
    page->status = is_good ? PAGE_OK : PAGE_UNAVAILABLE;
    buffer_printf(&page->text, "%s%s\n", is_good ? yes : no,
                  is_good && words->size > 0 ? ", but degraded" : "");
    buffer_append_slice(&page->text, buffer_slice(words));
}

static void put_health(struct page *page, const struct view *view,
                       bool (*judge)(const struct view *view, struct buffer *words), const char *yes,
                       const char *no) {
    struct buffer words AUTO(buffer_release) = {.bytes_max = PAGE_BYTES_MAX / 2};
    const bool is_good = judge(view, &words);
    put_verdict(page, is_good, yes, no, &words);
}

static void make_metrics(struct pages *pages, struct page *page) {
    page->type = METRICS_TYPE;
    metrics_page_put(&pages->view, &page->text);
}

static void make_live(struct pages *pages, struct page *page) {
    put_health(page, &pages->view, health_is_live, "live", "not live");
}

static void make_ready(struct pages *pages, struct page *page) {
    put_health(page, &pages->view, health_is_ready, "ready", "not ready");
}

static void make_started(struct pages *pages, struct page *page) {
    put_health(page, &pages->view, health_has_started, "started", "not started");
    pages->view.has_started = page->status == PAGE_OK;
}

static bool finish_json(struct json_writer *json, struct slice *ret_line) {
    struct error err = {0};
    return json_writer_finish(json, ret_line, &err);
}

static void make_status(struct pages *pages, struct page *page) {
    struct slice line;
    page->type = JSON_TYPE;
    json_writer_begin(&pages->json);
    status_json_put(&pages->view, &pages->history, HISTORY_POINTS_MAX, &pages->json);
    if (finish_json(&pages->json, &line))
        buffer_append_slice(&page->text, line);
    else
        page->text.failed = true;
}

static void make_page(struct pages *pages, struct page *page) {
    (void) pages;
    page->type = HTML_TYPE;
    page->policy = PAGE_POLICY;
    buffer_append(&page->text, PAGE_HTML, sizeof PAGE_HTML);
}

static const struct {
    const char *path;
    void (*make)(struct pages *pages, struct page *page);
} PATHS[] = {
    {"/", make_page},      {"/status.json", make_status}, {"/metrics", make_metrics},
    {"/livez", make_live}, {"/readyz", make_ready},       {"/startupz", make_started},
};

static void pages_find(struct pages *pages, const char *path, struct page *page) {
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++)
        if (strcmp(path, PATHS[i].path) == 0) {
            view_take(&pages->view, pages->probes);
            PATHS[i].make(pages, page);
            return;
        }
    page->status = PAGE_NOT_FOUND;
    buffer_append_text(&page->text, "pgcdc: / /events /status.json /metrics /livez /readyz /startupz\n");
}

void pages_make(struct pages *pages, const char *path, struct page *ret_page) {
    *ret_page = (struct page){.status = PAGE_OK,
                              .type = PAGE_TEXT_TYPE,
                              .policy = PAGE_NO_POLICY,
                              .text = {.bytes_max = PAGE_BYTES_MAX}};
    pages_find(pages, path, ret_page);
    if (buffer_ok(&ret_page->text))
        return;
    buffer_reset(&ret_page->text);
    ret_page->status = PAGE_UNAVAILABLE;
    ret_page->type = PAGE_TEXT_TYPE;
    ret_page->policy = PAGE_NO_POLICY;
    buffer_append_text(&ret_page->text, "the answer is too large, or memory is missing\n");
}

/* ---- once a second ---- */

void pages_tick(struct pages *pages) {
    view_take(&pages->event_view, pages->probes);
    history_add(&pages->history, &pages->event_view);
}

bool pages_event(struct pages *pages, size_t points, struct slice *ret_line) {
    json_writer_begin(&pages->event_json);
    status_json_put(&pages->event_view, &pages->history, points, &pages->event_json);
    if (!finish_json(&pages->event_json, ret_line))
        return false;
    ret_line->size--; /* the newline: an event's line has its own end */
    return true;
}

/* ---- memory ---- */

bool pages_init(struct pages *pages, const struct config *config, struct live *lives, size_t live_count,
                struct probes *probes, struct error *err) {
    pages->probes = probes;
    return view_init(&pages->view, config, lives, live_count, err) &&
           view_init(&pages->event_view, config, lives, live_count, err) &&
           history_init(&pages->history, config->sink_count, err) && json_writer_init(&pages->json, err) &&
           json_writer_init(&pages->event_json, err);
}

void pages_release(struct pages *pages) {
    view_release(&pages->view);
    view_release(&pages->event_view);
    history_release(&pages->history);
    json_writer_release(&pages->json);
    json_writer_release(&pages->event_json);
}
