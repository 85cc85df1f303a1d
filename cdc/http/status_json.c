/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_json.c - one function for each section of the page.
 */
#include "cdc/http/status_json.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/utf8.h"
#include "cdc/http/lag.h"
#include "cdc/http/status_tables.h"
#include "cdc/http/warnings.h"

enum { WARNINGS_BYTES_MAX = 256 * 1024 };

static void open_map(struct json_writer *json, const char *key) {
    json_put_key(json, key);
    yajl_gen_map_open(json->generator);
}

static void open_array(struct json_writer *json, const char *key) {
    json_put_key(json, key);
    yajl_gen_array_open(json->generator);
}

static void put_flag(struct json_writer *json, const char *key, bool value) {
    json_put_key(json, key);
    yajl_gen_bool(json->generator, value);
}

/* ---- warnings ---- */

static void put_warning(enum warning_level level, struct slice line, struct json_writer *json) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "level", warning_level_name(level));
    json_put_key(json, "text");
    json_put_text(json, utf8_is_valid(line) ? line : slice_of("a message that is not UTF-8"));
    yajl_gen_map_close(json->generator);
}

static void put_warnings(const struct view *view, struct history *history, struct json_writer *json) {
    struct buffer words AUTO(buffer_release) = {.bytes_max = WARNINGS_BYTES_MAX};
    size_t ends[WARNING_NOTE + 1];
    size_t start = 0;
    put_flag(json, "ready", warnings_put(view, history, &words, ends));
    open_array(json, "warnings");
    for (enum warning_level level = WARNING_STOP; level <= WARNING_NOTE; level++)
        while (start < ends[level]) {
            const char *end = memchr(words.data + start, '\n', ends[level] - start);
            const size_t size = end != NULL ? (size_t) (end - words.data) - start : ends[level] - start;
            put_warning(level, (struct slice){.data = words.data + start, .size = size}, json);
            start += size + 1;
        }
    yajl_gen_array_close(json->generator);
}

/* ---- the source ---- */

static void put_slot(const struct source_probe_facts *source, struct json_writer *json) {
    json_put_key(json, "slot");
    if (!source->has_slot) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    json_put_number(json, "retained_bytes",
                    source->restart_lsn != 0 && source->sample.end_lsn >= source->restart_lsn
                        ? (int64_t) (source->sample.end_lsn - source->restart_lsn)
                        : -1);
    json_put_number(json, "safe_bytes", source->safe_bytes);
    put_flag(json, "lost", source->is_lost);
    yajl_gen_map_close(json->generator);
}

static void put_source(const struct view *view, struct json_writer *json) {
    const struct source_probe_facts *source = &view->source;
    open_map(json, "stages");
    json_put_lsn(json, "source", view_end_lsn(view));
    json_put_lsn(json, "received", view->parts[0].received_lsn);
    json_put_lsn(json, "buffered", view->part_count > 1 ? view->parts[0].sinks[0].durable_lsn : 0);
    json_put_lsn(json, "checkpoint", view->parts[0].saved_lsn);
    json_put_lsn(json, "confirmed", source->has_slot ? source->confirmed_lsn : 0);
    yajl_gen_map_close(json->generator);
    put_slot(source, json);
}

/* ---- sinks ---- */

static void put_dead(const struct sink_probe_facts *facts, struct json_writer *json) {
    json_put_key(json, "dead");
    if (!facts->is_looked_at) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    json_put_number(json, "failed", (int64_t) facts->dead.failed);
    json_put_number(json, "waiting", (int64_t) facts->dead.waiting);
    json_put_number(json, "skipped", (int64_t) facts->dead.skipped);
    yajl_gen_map_close(json->generator);
}

static void put_conflicts(const struct activity_sink *activity, struct json_writer *json) {
    open_array(json, "conflicts");
    for (size_t k = 0; k < CONFLICT_KINDS; k++) {
        if (activity->stops[k] == 0)
            continue;
        yajl_gen_map_open(json->generator);
        json_put_field(json, "kind", conflict_kind_name((enum conflict_kind) k));
        json_put_number(json, "count", (int64_t) activity->stops[k]);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_sink(const struct view *view, size_t i, struct json_writer *json) {
    const struct live_sink *sink = lag_sink(view->parts, view->part_count, i);
    const struct activity_sink *activity = view_activity(view, i);
    const struct config_sink *config = &view->config->sinks[i];
    yajl_gen_map_open(json->generator);
    json_put_field(json, "name", config->sink.name);
    json_put_field(json, "type", config->ops->type);
    json_put_field(json, "state", live_phase_name(lag_part(view->parts, view->part_count, i)->phase));
    json_put_lsn(json, "written", sink->written_lsn);
    json_put_lsn(json, "visible", sink->visible_lsn);
    json_put_lsn(json, "durable", sink->durable_lsn);
    put_flag(json, "copying", sink->is_copying);
    json_put_number(json, "lag_bytes", (int64_t) view_lag_bytes(view, i));
    json_put_number(json, "lag_ms", view_lag_ms(view, i));
    json_put_number(json, "transactions", (int64_t) activity->transactions);
    json_put_number(json, "changes", (int64_t) activity->changes);
    json_put_number(json, "left_out", (int64_t) activity->left_out);
    put_conflicts(activity, json);
    put_dead(&view->sinks[i], json);
    status_tables_put(view, i, json);
    yajl_gen_map_close(json->generator);
}

/* ---- retries ---- */

static void put_retries(const struct view *view, struct json_writer *json) {
    open_array(json, "retries");
    for (size_t p = 0; p < view->part_count; p++)
        for (size_t k = 0; k < view->parts[p].retry_count; k++) {
            yajl_gen_map_open(json->generator);
            json_put_field(json, "kind", view->parts[p].retries[k].kind);
            json_put_number(json, "count", (int64_t) view->parts[p].retries[k].count);
            yajl_gen_map_close(json->generator);
        }
    yajl_gen_array_close(json->generator);
}

/* ---- history ---- */

static void put_points(struct json_writer *json, const char *key, const struct history_point *points,
                       size_t count, bool is_lag) {
    open_array(json, key);
    for (size_t i = 0; i < count; i++) {
        const int64_t value = is_lag ? points[i].lag_ms : points[i].rows_per_s;
        if (value < 0)
            yajl_gen_null(json->generator);
        else
            json_put_integer(json, value);
    }
    yajl_gen_array_close(json->generator);
}

static void put_history(const struct view *view, struct history *history, size_t max,
                        struct json_writer *json) {
    struct history_point points[HISTORY_POINTS_MAX];
    open_array(json, "history");
    for (size_t i = 0; i < view->config->sink_count; i++) {
        uint64_t first;
        const size_t count =
            history_read(history, i, max < HISTORY_POINTS_MAX ? max : HISTORY_POINTS_MAX, points, &first);
        yajl_gen_map_open(json->generator);
        json_put_field(json, "sink", view->config->sinks[i].sink.name);
        json_put_number(json, "first", (int64_t) first);
        put_points(json, "lag_ms", points, count, true);
        put_points(json, "rows_per_s", points, count, false);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

void status_json_put(const struct view *view, struct history *history, size_t points,
                     struct json_writer *json) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "pipeline", view->config->name);
    json_put_field(json, "version", HTTP_VERSION_OF_PGCDC);
    json_put_number(json, "now_us", view->unix_us);
    json_put_number(json, "started_us", view->parts[0].activity.started_us);
    put_flag(json, "verifies", view->config->verify.continuous_bytes > 0);
    put_warnings(view, history, json);
    put_source(view, json);
    open_array(json, "sinks");
    for (size_t i = 0; i < view->config->sink_count; i++)
        put_sink(view, i, json);
    yajl_gen_array_close(json->generator);
    put_retries(view, json);
    status_copy_put(view, json);
    put_history(view, history, points, json);
    yajl_gen_map_close(json->generator);
}
