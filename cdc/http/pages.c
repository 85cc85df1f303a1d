/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.c - the table of paths.
 */
#include "cdc/http/pages.h"

#include "cdc/http/health.h"
#include "cdc/http/metrics_page.h"

#define TEXT_TYPE "text/plain; charset=utf-8"
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

static void make_metrics(struct view *view, struct page *page) {
    page->type = METRICS_TYPE;
    metrics_page_put(view, &page->text);
}

static void make_live(struct view *view, struct page *page) {
    put_health(page, view, health_is_live, "live", "not live");
}

static void make_ready(struct view *view, struct page *page) {
    put_health(page, view, health_is_ready, "ready", "not ready");
}

static void make_started(struct view *view, struct page *page) {
    put_health(page, view, health_has_started, "started", "not started");
    view->has_started = page->status == PAGE_OK;
}

static const struct {
    const char *path;
    void (*make)(struct view *view, struct page *page);
} PATHS[] = {
    {"/metrics", make_metrics},
    {"/livez", make_live},
    {"/readyz", make_ready},
    {"/startupz", make_started},
};

static void pages_find(struct pages *pages, const char *path, struct page *page) {
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++)
        if (strcmp(path, PATHS[i].path) == 0) {
            view_take(&pages->view, pages->probes);
            PATHS[i].make(&pages->view, page);
            return;
        }
    page->status = PAGE_NOT_FOUND;
    buffer_append_text(&page->text, "pgcdc: /metrics /livez /readyz /startupz\n");
}

void pages_make(struct pages *pages, const char *path, struct page *ret_page) {
    *ret_page = (struct page){.status = PAGE_OK, .type = TEXT_TYPE, .text = {.bytes_max = PAGE_BYTES_MAX}};
    pages_find(pages, path, ret_page);
    if (buffer_ok(&ret_page->text))
        return;
    buffer_reset(&ret_page->text);
    ret_page->status = PAGE_UNAVAILABLE;
    ret_page->type = TEXT_TYPE;
    buffer_append_text(&ret_page->text, "the answer is too large, or memory is missing\n");
}
