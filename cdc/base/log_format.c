/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_format.c - both forms, each field cut to its room.
 */
#include "cdc/base/log_format.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cdc/base/visible.h"

enum {
    FIELD_MAX = 600, /* two names of PostgreSQL, each of 63 bytes, all escaped */
    FIX_MAX = 1100,  /* a remedy of the greatest length */
};

/* ---- both ---- */

struct line {
    char *bytes;
    size_t size;
    size_t most; /* nothing is written from here on */
};

static void line_put(struct line *line, const char *text, size_t size) {
    const size_t room = line->most - line->size;
    const size_t taken = size < room ? size : room;
    memcpy(line->bytes + line->size, text, taken);
    line->size += taken;
}

static void put_plain(struct line *line, const char *text) {
    line_put(line, text, strlen(text));
}

static void put_visible(struct line *line, const char *text) {
    char shown[LOG_LINE_MAX];
    const size_t room = line->most - line->size;
    const size_t size = visible_write(shown, room < sizeof shown ? room + 1 : sizeof shown, slice_of(text));
    line_put(line, shown, size);
}

static void put_moment(struct line *line, int64_t unix_us) {
    const time_t seconds = (time_t) (unix_us / 1000000);
    char moment[LOG_MOMENT_SIZE + 8], millis[8];
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(moment, sizeof moment, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(millis, sizeof millis, ".%03dZ", (int) (unix_us / 1000 % 1000));
    put_plain(line, moment);
    put_plain(line, millis);
}

static bool is_given(const char *text) {
    return text != NULL && text[0] != '\0';
}

/* ---- text ---- */

static void put_head(struct line *line, const struct log_entry *entry) {
    static const char *const LEVELS[] = {" debug ", " info  ", " warn  ", " error "};
    if (entry->command != NULL) {
        put_plain(line, "pgcdc");
        put_plain(line, entry->command[0] != '\0' ? " " : "");
        put_plain(line, entry->command);
        put_plain(line, ": ");
        return;
    }
    put_moment(line, entry->unix_us);
    put_plain(line, LEVELS[log_event_level(entry->event)]);
    if (entry->pipeline != NULL) {
        put_plain(line, entry->pipeline);
        put_plain(line, ": ");
    }
}

size_t log_format_text(const struct log_entry *entry, char bytes[static LOG_LINE_MAX]) {
    struct line line = {.bytes = bytes, .most = LOG_LINE_MAX - 1};
    put_head(&line, entry);
    put_visible(&line, entry->text);
    if (is_given(entry->fix)) {
        put_plain(&line, "; ");
        put_visible(&line, entry->fix);
    }
    bytes[line.size++] = '\n';
    return line.size;
}

/* ---- JSON ---- */

/* Visible text contains neither a control character nor a byte that is not UTF-8. */
static bool needs_backslash(char letter) {
    return letter == '"' || letter == '\\';
}

static size_t character_size(const char *at) {
    size_t size = 1;
    while (((unsigned char) at[size] & 0xC0) == 0x80)
        size++;
    return size;
}

/* A string with its quotes, of which at most bytes_max bytes; cut between two characters. */
static void put_string(struct line *line, const char *text, size_t bytes_max) {
    char shown[LOG_LINE_MAX];
    const size_t room = line->most - line->size;
    const size_t end = line->size + (bytes_max < room ? bytes_max : room) - 1;
    visible_write(shown, sizeof shown, slice_of(text));
    put_plain(line, "\"");
    for (const char *at = shown; *at != '\0';) {
        const size_t size = character_size(at);
        if (line->size + size + needs_backslash(*at) > end)
            break;
        line_put(line, "\\", needs_backslash(*at));
        line_put(line, at, size);
        at += size;
    }
    put_plain(line, "\"");
}

static void put_member(struct line *line, const char *key, const char *text, size_t bytes_max) {
    if (!is_given(text))
        return;
    put_plain(line, line->size > 1 ? ",\"" : "\"");
    put_plain(line, key);
    put_plain(line, "\":");
    put_string(line, text, bytes_max);
}

size_t log_format_json(const struct log_entry *entry, char bytes[static LOG_LINE_MAX]) {
    static const char FIX_KEY[] = ",\"fix\":";
    const size_t most = LOG_LINE_MAX - sizeof "}\n";
    struct line line = {.bytes = bytes, .most = most};
    put_plain(&line, "{\"ts\":\"");
    put_moment(&line, entry->unix_us);
    put_plain(&line, "\"");
    put_member(&line, "level", log_level_name(log_event_level(entry->event)), FIELD_MAX);
    put_member(&line, "event", log_event_word(entry->event), FIELD_MAX);
    put_member(&line, "pipeline", entry->pipeline, FIELD_MAX);
    put_member(&line, "sink", entry->sink, FIELD_MAX);
    put_member(&line, "table", entry->table, FIELD_MAX);
    put_member(&line, "lsn", entry->lsn != 0 ? lsn_format(entry->lsn).text : NULL, FIELD_MAX);
    put_member(&line, "sqlstate", entry->sqlstate, FIELD_MAX);
    line.most -= is_given(entry->fix) ? FIX_MAX + sizeof FIX_KEY : 0;
    put_plain(&line, ",\"msg\":");
    put_string(&line, entry->text, LOG_LINE_MAX);
    line.most = most;
    put_member(&line, "fix", entry->fix, FIX_MAX);
    line.most = LOG_LINE_MAX;
    put_plain(&line, "}\n");
    return line.size;
}
