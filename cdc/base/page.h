/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.h - one page for a browser and for paper: it loads nothing and runs nothing.
 *
 * The markup is the caller's, who uses the classes of the style in page.c. Texts that are not ours go through
 * page_text.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"

/* The title and the heading: "what: name". what is ours. Initializes page; the caller releases it. */
void page_begin(struct buffer *page, const char *what, const char *name);

/* One line of any text; and one with line feeds of ours. */
void page_text(struct buffer *page, const char *text);
void page_lines(struct buffer *page, const char *text);

/* A cell with a number; negative: not known. */
void page_count(struct buffer *page, int64_t count);
void page_bytes(struct buffer *page, int64_t bytes);

/* Now, in UTC. */
void page_date(struct buffer *page);

/* Ends it and writes it into the file. */
MUST_CHECK bool page_end(struct buffer *page, const char *path, struct error *err);
