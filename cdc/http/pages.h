/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - from a path to an answer.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/json_writer.h"
#include "cdc/http/history.h"
#include "cdc/http/view.h"

enum { PAGE_OK = 200, PAGE_NOT_FOUND = 404, PAGE_UNAVAILABLE = 503 };

/* An answer is never larger; one that would be is PAGE_UNAVAILABLE and says so. */
#define PAGE_BYTES_MAX ((size_t) 16 << 20)

#define PAGE_TEXT_TYPE "text/plain; charset=utf-8"

/* For a browser: what is not the page loads and runs nothing. */
#define PAGE_NO_POLICY "default-src 'none'; frame-ancestors 'none'"

struct page {
    unsigned status;
    const char *type;   /* its media type */
    const char *policy; /* its Content-Security-Policy */
    struct buffer text;
};

struct pages {
    struct view view;
    struct probes *probes;
    struct history history;
    struct json_writer json;
    /* pages_tick's and pages_event's own */
    struct view event_view;
    struct json_writer event_json;
};

/* False: no memory. pages_release accepts what is zeroed. */
MUST_CHECK bool pages_init(struct pages *pages, const struct config *config, struct live *lives,
                           size_t live_count, struct probes *probes, struct error *err);
void pages_release(struct pages *pages);

/* One thread at a time. The caller releases page->text, also when memory was missing: then it is empty. */
void pages_make(struct pages *pages, const char *path, struct page *ret_page);

/*
 * Another thread: adds a point to the history, once a second; and then, the JSON of that moment, valid until
 * the next tick. False: there is none.
 */
void pages_tick(struct pages *pages);
MUST_CHECK bool pages_event(struct pages *pages, size_t points, struct slice *ret_line);
