/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - from a path to an answer.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/http/view.h"

enum { PAGE_OK = 200, PAGE_NOT_FOUND = 404, PAGE_UNAVAILABLE = 503 };

/* An answer is never larger; one that would be is PAGE_UNAVAILABLE and says so. */
#define PAGE_BYTES_MAX ((size_t) 16 << 20)

struct page {
    unsigned status;
    const char *type; /* its media type */
    struct buffer text;
};

struct pages {
    struct view view;
    struct probes *probes;
};

/* One thread at a time. The caller releases page->text, also when memory was missing: then it is empty. */
void pages_make(struct pages *pages, const char *path, struct page *ret_page);
