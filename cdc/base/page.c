/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.c - every text that is not ours is escaped twice: what a terminal would obey as in visible.h, then
 * HTML.
 */
#include "cdc/base/page.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/file.h"
#include "cdc/base/visible.h"

#define PAGE_BYTES_MAX ((size_t) 256 << 20)
#define TEXT_BYTES_MAX ((size_t) 64 << 20)

enum {
    VISIBLE_BYTES = 4, /* at most, for a byte: \xNN */
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
static void page_line(struct buffer *page, struct slice text) {
    struct buffer line AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const size_t size = text.size * VISIBLE_BYTES + 1;
    if (!buffer_reserve(&line, size)) {
        page->failed = true;
        return;
    }
    const size_t length = visible_write(line.data, size, text);
    append_escaped(page, (struct slice){.data = line.data, .size = length});
}

void page_text(struct buffer *page, const char *text) {
    page_line(page, slice_of(text));
}

/* The line feeds are ours. */
void page_lines(struct buffer *page, const char *text) {
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        page_line(page, (struct slice){.data = text, .size = length});
        if (text[length] == '\n')
            buffer_append_text(page, "\n");
        text += length + (text[length] == '\n');
    }
}

void page_count(struct buffer *page, int64_t count) {
    if (count < 0)
        buffer_append_text(page, "<td class=\"n\">?");
    else
        buffer_printf(page, "<td class=\"n\">%" PRId64, count);
}

void page_bytes(struct buffer *page, int64_t bytes) {
    buffer_printf(page, "<td class=\"n\">%s", bytes < 0 ? "" : amount_bytes((double) bytes).text);
}

void page_date(struct buffer *page) {
    const time_t now = (time_t) (clock_unix_us() / 1000000);
    struct tm parts;
    char text[64] = "";
    if (gmtime_r(&now, &parts) != NULL)
        strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
    page_text(page, text);
}

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

void page_begin(struct buffer *page, const char *what, const char *name) {
    buffer_init(page, PAGE_BYTES_MAX);
    buffer_append_text(page, HEAD);
    buffer_printf(page, "<title>%s: ", what);
    page_text(page, name);
    buffer_append_text(page, "</title>\n");
    buffer_append_text(page, STYLE);
    buffer_printf(page, "</head><body>\n<h1>%s: ", what);
    page_text(page, name);
    buffer_append_text(page, "</h1>\n");
}

bool page_end(struct buffer *page, const char *path, struct error *err) {
    buffer_append_text(page, "</body></html>\n");
    return buffer_ok(page) ? write_page(path, buffer_slice(page), err) : error_no_memory(err);
}
