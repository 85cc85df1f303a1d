/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_gaps.c - runs the sink's check, and keeps what it says of single columns.
 */
#include "cdc/commands/map_gaps.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 4096 }; /* a longer text is cut: it is for reading */

struct collector {
    const struct table *tables;
    struct arena *arena;
    struct map_gaps *gaps;
    struct map_gap *last;
    /* the last finding */
    enum sink_severity severity;
    const char *code;
    const char *text;
    bool has_failed;
};

static void collect_add(void *context, enum sink_severity severity, const char *code, const char *format,
                        va_list values) {
    struct collector *collector = context;
    char *text = arena_alloc(collector->arena, TEXT_BYTES_MAX);
    collector->severity = severity;
    collector->code = code;
    collector->text = text;
    if (text != NULL)
        vsnprintf(text, TEXT_BYTES_MAX, format, values);
    collector->has_failed = collector->has_failed || collector->text == NULL;
}

static void collect_gap(void *context, const struct table *table, const char *column) {
    struct collector *collector = context;
    struct map_gap *gap = arena_alloc(collector->arena, sizeof *gap);
    const char *name = arena_copy(collector->arena, slice_of(column));
    if (gap == NULL || name == NULL) {
        collector->has_failed = true;
        return;
    }
    *gap = (struct map_gap){.table = table->oid,
                            .column = name,
                            .severity = collector->severity,
                            .code = collector->code,
                            .text = collector->text};
    if (collector->last == NULL)
        collector->gaps->first = gap;
    else
        collector->last->next = gap;
    collector->last = gap;
}

/* ---- what is not about a column ---- */

static void ignore_fix(void *context, const char *format, va_list values) {
    (void) context;
    (void) format;
    (void) values;
}

static void ignore_object(void *context, const char *object) {
    (void) context;
    (void) object;
}

static void ignore_long_copy(void *context, const struct table *table, const char *reason) {
    (void) context;
    (void) table;
    (void) reason;
}

/* No order of a copy is known here. */
static bool give_order(void *context, const struct table **ret_tables, struct error *err) {
    (void) err;
    *ret_tables = ((struct collector *) context)->tables;
    return true;
}

static const struct sink_check_ops COLLECT = {
    .add = collect_add,
    .fix = ignore_fix,
    .object = ignore_object,
    .gap = collect_gap,
    .long_copy = ignore_long_copy,
    .order = give_order,
};

/* ---- the sink ---- */

static bool collect_gaps(const struct config_sink *config, const struct sink_check *asked,
                         const atomic_bool *stop, struct error *err) {
    struct sink *sink = sink_new(config->ops, &config->sink, stop);
    if (sink == NULL)
        return error_no_memory(err);
    const bool checked = config->ops->admin->check(sink, asked, err);
    sink_free(sink);
    return checked;
}

static bool open_target(const struct config_sink *sink, const atomic_bool *stop, struct session *ret_session,
                        struct arena *arena, const char **ret_reason) {
    struct session_options options = {.stop = stop};
    struct error answer = {0};
    sink->ops->admin->target(&sink->sink, &options);
    if (session_open(ret_session, &options, &answer))
        return true;
    *ret_reason = arena_copy(arena, slice_of(error_line(&answer).text));
    return false;
}

bool map_gaps_read(const struct config_sink *sink, struct session *source, const struct table *tables,
                   size_t count, const atomic_bool *stop, struct arena *arena, struct map_gaps *ret_gaps,
                   const char **ret_reason, struct error *err) {
    struct session target AUTO(session_close) = {0};
    struct collector collector = {.tables = tables, .arena = arena, .gaps = ret_gaps};
    *ret_gaps = (struct map_gaps){0};
    *ret_reason = NULL;
    if (sink->ops->admin == NULL || sink->ops->admin->check == NULL || sink->ops->admin->target == NULL ||
        !open_target(sink, stop, &target, arena, ret_reason))
        return true;
    const struct sink_check asked = {.tables = tables,
                                     .table_count = count,
                                     .long_copy_bytes = UINT64_MAX,
                                     .source_encoding = "UTF8",
                                     .source = source,
                                     .target = &target,
                                     .arena = arena,
                                     .ops = &COLLECT,
                                     .context = &collector};
    ret_gaps->is_known = true;
    return collect_gaps(sink, &asked, stop, err) && (!collector.has_failed || error_no_memory(err));
}

const struct map_gap *map_gaps_find(const struct map_gaps *gaps, oid_t table, const char *column) {
    const struct map_gap *gap = gaps->first;
    while (gap != NULL && (gap->table != table || (column != NULL && strcmp(gap->column, column) != 0)))
        gap = gap->next;
    return gap;
}
