/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verified.c - the file's text. Names and bounds are hexadecimal; a dash is none.
 *
 *     pgcdc verified 2
 *     table OID DEFINITION EQUAL_US EQUAL_LSN RANGES SCHEMA NAME COLUMN
 *     range STATE LSN AT_US SOURCE_ROWS TARGET_ROWS SOURCE_HASH TARGET_HASH NARROWED MISSING EXTRA DIFFERENT LOW HIGH
 *     end
 */
#include "cdc/engine/verified.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/engine/state_file.h"

#define MAGIC "pgcdc verified 2\n"
#define TEXT_BYTES_MAX ((size_t) 256 << 20)

enum { RANGES_MAX = 1 << 20, WORD_MAX = 1024, BOUND_MAX = 300 };

/* ---- reading ---- */

struct reading {
    struct arena *arena;
    struct verified *verified;
    size_t capacity;
    size_t taken; /* ranges of the last table */
    bool is_bad;
    bool is_whole;
};

static int digit_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A text from its hexadecimal digits. NULL: it is none, or malformed, as *is_bad then says. */
static const char *take_word(struct reading *reading, const char *word) {
    const size_t length = strlen(word);
    char *text = arena_alloc(reading->arena, length / 2 + 1);
    if (strcmp(word, "-") == 0)
        return NULL;
    reading->is_bad |= text == NULL || length % 2 != 0;
    for (size_t i = 0; !reading->is_bad && i < length; i += 2) {
        const int high = digit_of(word[i]), low = digit_of(word[i + 1]);
        reading->is_bad = high < 0 || low < 0 || high + low == 0;
        text[i / 2] = (char) (high * 16 + low);
    }
    if (reading->is_bad)
        return NULL;
    text[length / 2] = '\0';
    return text;
}

static bool make_room(struct reading *reading) {
    struct verified *verified = reading->verified;
    if (verified->count < reading->capacity)
        return true;
    const size_t capacity = reading->capacity == 0 ? 64 : reading->capacity * 2;
    struct verified_table *tables = arena_alloc(reading->arena, capacity * sizeof *tables);
    if (tables == NULL)
        return false;
    if (verified->count > 0)
        memcpy(tables, verified->tables, verified->count * sizeof *tables);
    verified->tables = tables;
    reading->capacity = capacity;
    return true;
}

static bool has_all_ranges(const struct reading *reading) {
    const struct verified *verified = reading->verified;
    return verified->count == 0 || reading->taken == verified->tables[verified->count - 1].range_count;
}

static void take_table(struct reading *reading, const char *line) {
    struct verified_table table = {0};
    char lsn[32], schema[WORD_MAX], name[WORD_MAX], column[WORD_MAX];
    if (sscanf(line, "table %" SCNu32 " %" SCNx64 " %" SCNd64 " %31s %zu %1023s %1023s %1023s", &table.oid,
               &table.definition, &table.equal_us, lsn, &table.range_count, schema, name, column) != 8 ||
        !lsn_parse(lsn, &table.equal_lsn) || table.range_count == 0 || table.range_count > RANGES_MAX ||
        !has_all_ranges(reading) || !make_room(reading)) {
        reading->is_bad = true;
        return;
    }
    table.schema = take_word(reading, schema);
    table.name = take_word(reading, name);
    table.column = take_word(reading, column);
    if (table.column == NULL)
        table.column = "";
    table.ranges = arena_alloc_zero(reading->arena, table.range_count * sizeof *table.ranges);
    reading->is_bad |= table.ranges == NULL || table.schema == NULL || table.name == NULL;
    reading->verified->tables[reading->verified->count++] = table;
    reading->taken = 0;
}

static void take_range(struct reading *reading, const char *line) {
    struct verified *verified = reading->verified;
    struct verified_range range = {0};
    char lsn[32], low[WORD_MAX], high[WORD_MAX];
    unsigned state = 0;
    if (sscanf(line,
               "range %u %31s %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNu64
               " %" SCNu64 " %" SCNu64 " %" SCNu64 " %1023s %1023s",
               &state, lsn, &range.at_us, &range.source_rows, &range.target_rows, &range.source_hash,
               &range.target_hash, &range.narrowed_rows, &range.missing, &range.extra, &range.different, low,
               high) != 13 ||
        state > VERIFIED_DIFFERENT || !lsn_parse(lsn, &range.lsn) || verified->count == 0 ||
        has_all_ranges(reading)) {
        reading->is_bad = true;
        return;
    }
    range.state = (enum verified_state) state;
    range.low = take_word(reading, low);
    range.high = take_word(reading, high);
    verified->tables[verified->count - 1].ranges[reading->taken++] = range;
}

static void verified_take_line(const char *line, void *context) {
    struct reading *reading = context;
    if (reading->is_bad)
        return;
    if (strncmp(line, "table ", 6) == 0)
        take_table(reading, line);
    else if (strncmp(line, "range ", 6) == 0)
        take_range(reading, line);
    else if (strcmp(line, "end\n") == 0)
        reading->is_whole = has_all_ranges(reading);
    else
        reading->is_bad = true;
}

void verified_read(const char *directory, const char *pipeline, const char *sink, const char *kind,
                   struct arena *arena, struct verified *ret_verified) {
    const struct state_file file = state_file_of(directory, pipeline, sink, kind);
    struct reading reading = {.arena = arena, .verified = ret_verified};
    *ret_verified = (struct verified){0};
    state_file_read(&file, MAGIC, verified_take_line, &reading);
    if (reading.is_bad || !reading.is_whole)
        *ret_verified = (struct verified){0};
}

/* ---- writing ---- */

static void append_word(struct buffer *text, const char *word) {
    buffer_append_text(text, word == NULL || word[0] == '\0' ? " -" : " ");
    for (; word != NULL && *word != '\0'; word++)
        buffer_printf(text, "%02x", (unsigned char) *word);
}

static void append_range(struct buffer *text, const struct verified_range *range) {
    buffer_printf(text,
                  "range %u %s %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu64
                  " %" PRIu64 " %" PRIu64 " %" PRIu64,
                  (unsigned) range->state, lsn_format(range->lsn).text, range->at_us, range->source_rows,
                  range->target_rows, range->source_hash, range->target_hash, range->narrowed_rows,
                  range->missing, range->extra, range->different);
    append_word(text, range->low);
    append_word(text, range->high);
    buffer_append_text(text, "\n");
}

/* A reader takes no longer words, and would then take nothing. Such a table begins again. */
static bool has_long_bounds(const struct verified_table *table) {
    for (size_t i = 0; i < table->range_count; i++) {
        const char *low = table->ranges[i].low, *high = table->ranges[i].high;
        if ((low != NULL && strlen(low) > BOUND_MAX) || (high != NULL && strlen(high) > BOUND_MAX))
            return true;
    }
    return false;
}

static void verified_append_table(struct buffer *text, const struct verified_table *table) {
    if (has_long_bounds(table))
        return;
    buffer_printf(text, "table %" PRIu32 " %" PRIx64 " %" PRId64 " %s %zu", table->oid, table->definition,
                  table->equal_us, lsn_format(table->equal_lsn).text, table->range_count);
    append_word(text, table->schema);
    append_word(text, table->name);
    append_word(text, table->column);
    buffer_append_text(text, "\n");
    for (size_t i = 0; i < table->range_count; i++)
        append_range(text, &table->ranges[i]);
}

bool verified_write(const char *directory, const char *pipeline, const char *sink, const char *kind,
                    const struct verified *verified, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const struct state_file file = state_file_of(directory, pipeline, sink, kind);
    buffer_append_text(&text, MAGIC);
    for (size_t i = 0; i < verified->count; i++)
        verified_append_table(&text, &verified->tables[i]);
    buffer_append_text(&text, "end\n");
    if (!buffer_ok(&text))
        return error_no_memory(err);
    if (!state_file_write(&file, buffer_slice(&text), false, err))
        return false;
    FAULT_POINT("verified-written");
    return state_file_place(&file, err);
}

bool verified_remove(const char *directory, const char *pipeline, const char *sink, const char *kind,
                     struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, sink, kind);
    return state_file_remove(&file, err);
}

/* ---- what it says ---- */

const struct verified_table *verified_find(const struct verified *verified, oid_t oid) {
    for (size_t i = 0; i < verified->count; i++)
        if (verified->tables[i].oid == oid)
            return &verified->tables[i];
    return NULL;
}

size_t verified_count(const struct verified_table *table, enum verified_state state) {
    size_t count = 0;
    for (size_t i = 0; i < table->range_count; i++)
        count += table->ranges[i].state == state;
    return count;
}

struct verified_range verified_sum(const struct verified_table *table) {
    struct verified_range sum = {0};
    for (size_t i = 0; i < table->range_count; i++) {
        sum.missing += table->ranges[i].missing;
        sum.extra += table->ranges[i].extra;
        sum.different += table->ranges[i].different;
    }
    return sum;
}

void verified_conclude(struct verified_table *table) {
    const struct verified_range *first = &table->ranges[0];
    if (verified_count(table, VERIFIED_EQUAL) < table->range_count)
        return;
    for (size_t i = 1; i < table->range_count; i++)
        if (table->ranges[i].at_us < first->at_us)
            first = &table->ranges[i];
    table->equal_us = first->at_us;
    table->equal_lsn = first->lsn;
}
