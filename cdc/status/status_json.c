/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_json.c - a status for programs.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cdc/base/clock.h"
#include "cdc/base/utf8.h"
#include "cdc/status/copy_view.h"
#include "cdc/status/status_text.h"

static void put_pid(struct json_writer *json, const char *key, int pid) {
    json_put_number(json, key, pid != 0 ? pid : -1);
}

/* "" becomes null. A server's message can be in any encoding until the session has agreed on one. */
static void put_text(struct json_writer *json, const char *key, const char *text) {
    json_put_key(json, key);
    if (text[0] == '\0')
        yajl_gen_null(json->generator);
    else
        json_put_text(json, slice_of(utf8_is_valid(slice_of(text)) ? text : "a message that is not UTF-8"));
}

static int64_t lag_of(const struct status *status, lsn_t lsn) {
    return status->identity.flush_lsn != 0 && lsn != 0 ? (int64_t) status_lag_bytes(status, lsn) : -1;
}

static void put_source(struct json_writer *json, const struct status *status) {
    char text[32];
    json_put_key(json, "source");
    if (status->state == STATE_UNKNOWN) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    snprintf(text, sizeof text, "%d.%d", status->server_version / 10000, status->server_version % 10000);
    if (status->reader != NULL)
        json_put_field(json, "archive", status->config->source.archive);
    else
        json_put_field(json, "version", text);
    json_put_field(json, "database", status->identity.database);
    snprintf(text, sizeof text, "%" PRIu64, status->identity.system_id);
    json_put_field(json, "system_id", text);
    json_put_number(json, "timeline", status->identity.timeline);
    json_put_lsn(json, "flush_lsn", status->identity.flush_lsn);
    yajl_gen_map_close(json->generator);
}

static void put_slot(struct json_writer *json, const struct status *status) {
    const struct slot_facts *slot = &status->slot;
    json_put_key(json, "slot");
    if (status->state == STATE_UNKNOWN || status->reader != NULL) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    json_put_field(json, "name", status->config->source.slot);
    json_put_key(json, "exists");
    yajl_gen_bool(json->generator, slot->exists);
    put_pid(json, "active_pid", slot->active_pid);
    json_put_lsn(json, "restart_lsn", slot->restart_lsn);
    json_put_lsn(json, "confirmed_flush_lsn", slot->confirmed_lsn);
    json_put_key(json, "is_failover");
    yajl_gen_bool(json->generator, slot->is_failover);
    put_text(json, "waits_for_standbys", status->standby_waits);
    put_text(json, "wal_status", status->wal_status);
    json_put_number(json, "safe_wal_bytes", slot->exists ? status->safe_wal_bytes : -1);
    json_put_number(json, "retained_bytes", lag_of(status, slot->restart_lsn));
    json_put_number(json, "lag_bytes", lag_of(status, slot->confirmed_lsn));
    yajl_gen_map_close(json->generator);
}

static void put_conflicts(struct json_writer *json, const char *key, const uint64_t *counts) {
    json_put_key(json, key);
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < CONFLICT_KINDS; i++)
        if (counts[i] > 0)
            json_put_number(json, conflict_kind_name((enum conflict_kind) i), (int64_t) counts[i]);
    yajl_gen_map_close(json->generator);
}

/* One decimal place. */
static void put_rate(struct json_writer *json, const char *key, bool is_known, double rate) {
    char text[64];
    json_put_key(json, key);
    int length = snprintf(text, sizeof text, "%.1f", rate);
    if (is_known)
        yajl_gen_number(json->generator, text, (size_t) length);
    else
        yajl_gen_null(json->generator);
}

/* By rule of the mapping and table; null: not known. */
static void put_left_out(struct json_writer *json, const struct activity *activity, const char *sink) {
    json_put_key(json, "left_out_by_rule");
    if (!activity->exists) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < activity->left_out_count; i++) {
        const struct activity_left_out *item = &activity->left_out[i];
        if (strcmp(item->sink, sink) != 0)
            continue;
        yajl_gen_map_open(json->generator);
        json_put_field(json, "rule", item->rule);
        json_put_field(json, "table", item->table);
        json_put_number(json, "changes", (int64_t) item->changes);
        json_put_number(json, "copied_rows", (int64_t) item->copied);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

/* Counts of the running engine, or of the last one; rates only of a running engine. */
static void put_activity_sink(struct json_writer *json, const struct status *status,
                              const struct activity_sink *sink) {
    static const struct activity_sink NOTHING;
    const bool has_rate = sink != NULL && status->activity_is_current;
    const struct activity_sink *known = sink != NULL ? sink : &NOTHING;
    json_put_number(json, "transactions", sink != NULL ? (int64_t) sink->transactions : -1);
    json_put_number(json, "changes", sink != NULL ? (int64_t) sink->changes : -1);
    json_put_number(json, "left_out", sink != NULL ? (int64_t) sink->left_out : -1);
    put_rate(json, "transactions_per_s", has_rate, known->transactions_per_s);
    put_rate(json, "changes_per_s", has_rate, known->changes_per_s);
}

static void put_activity(struct json_writer *json, const struct status *status) {
    const struct activity *activity = &status->activity;
    json_put_key(json, "activity");
    if (!activity->exists) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    json_put_key(json, "is_current");
    yajl_gen_bool(json->generator, status->activity_is_current);
    json_put_number(json, "engine_pid", activity->pid);
    json_put_number(json, "started_unix_ms", activity->started_us / 1000);
    json_put_number(json, "written_unix_ms", activity->written_us / 1000);
    json_put_number(json, "rows_copied", (int64_t) activity->rows_copied);
    yajl_gen_map_close(json->generator);
}

/* Milliseconds, as seconds; -1 is null. */
static void put_seconds(struct json_writer *json, const char *key, int64_t ms) {
    put_rate(json, key, ms >= 0, (double) ms / 1000);
}

static void put_copy_table(struct json_writer *json, const struct copy_view *view,
                           const struct copy_view_table *table) {
    const struct chunk_tally *tally = &table->tally;
    yajl_gen_map_open(json->generator);
    json_put_field(json, "sink", view->status->config->sinks[table->sink].sink.name);
    put_text(json, "schema", tally->schema);
    put_text(json, "table", tally->table);
    json_put_number(json, "chunks_done", (int64_t) tally->chunks_done);
    json_put_number(json, "chunk_count", (int64_t) tally->chunk_count);
    json_put_number(json, "rows", (int64_t) tally->rows);
    json_put_number(json, "bytes_done", (int64_t) tally->bytes_done);
    json_put_number(json, "bytes_estimate", (int64_t) tally->bytes_estimate);
    json_put_number(json, "bytes_per_s", table->bytes_per_s);
    put_seconds(json, "seconds_left", table->left_ms);
    yajl_gen_map_close(json->generator);
}

/* Chunks are null when the copy is one step. */
static void put_copy(struct json_writer *json, const struct status *status) {
    struct copy_view view;
    copy_view_make(status, &view);
    json_put_key(json, "copy");
    if (view.state == COPY_NONE) {
        yajl_gen_null(json->generator);
        return;
    }
    const bool has_chunks = view.sum.chunk_count > 0;
    yajl_gen_map_open(json->generator);
    json_put_field(json, "state", copy_state_name(view.state));
    put_text(json, "table", view.table);
    json_put_number(json, "tables_done", (int64_t) view.tables_done);
    json_put_number(json, "table_count", view.table_count > 0 ? (int64_t) view.table_count : -1);
    json_put_number(json, "chunks_done", has_chunks ? (int64_t) view.sum.chunks_done : -1);
    json_put_number(json, "chunk_count", has_chunks ? (int64_t) view.sum.chunk_count : -1);
    json_put_number(json, "rows", (int64_t) view.sum.rows);
    json_put_number(json, "bytes", view.bytes);
    json_put_number(json, "bytes_done", (int64_t) view.sum.bytes_done);
    json_put_number(json, "bytes_estimate", (int64_t) view.sum.bytes_estimate);
    json_put_number(json, "bytes_per_s", view.bytes_per_s);
    put_seconds(json, "seconds_left", view.left_ms);
    json_put_key(json, "tables");
    yajl_gen_array_open(json->generator);
    for (struct copy_view_table table = {0}; copy_view_next(&view, &table);)
        put_copy_table(json, &view, &table);
    yajl_gen_array_close(json->generator);
    yajl_gen_map_close(json->generator);
}

static void put_verified_table(struct json_writer *json, const struct verified_table *table) {
    const size_t equal = verified_count(table, VERIFIED_EQUAL);
    const size_t different = verified_count(table, VERIFIED_DIFFERENT);
    const int64_t age_us = clock_unix_us() - table->equal_us;
    yajl_gen_map_open(json->generator);
    put_text(json, "schema", table->schema);
    put_text(json, "table", table->name);
    json_put_field(json, "state",
                   different > 0                 ? "different"
                   : equal == table->range_count ? "equal"
                                                 : "partial");
    put_seconds(json, "proven_seconds_ago", table->equal_us == 0 ? -1 : age_us > 0 ? age_us / 1000 : 0);
    json_put_lsn(json, "proven_lsn", table->equal_lsn);
    json_put_number(json, "ranges_equal", (int64_t) equal);
    json_put_number(json, "ranges_different", (int64_t) different);
    json_put_number(json, "range_count", (int64_t) table->range_count);
    const struct verified_range sum = verified_sum(table);
    json_put_number(json, "missing", (int64_t) sum.missing);
    json_put_number(json, "extra", (int64_t) sum.extra);
    json_put_number(json, "different", (int64_t) sum.different);
    yajl_gen_map_close(json->generator);
}

static void put_verified(struct json_writer *json, const struct verified *verified) {
    json_put_key(json, "verified");
    if (verified->count == 0) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < verified->count; i++)
        put_verified_table(json, &verified->tables[i]);
    yajl_gen_array_close(json->generator);
}

static void put_dead(struct json_writer *json, const struct dead_count *dead) {
    json_put_key(json, "dead_letters");
    yajl_gen_map_open(json->generator);
    json_put_number(json, "failed", (int64_t) dead->failed);
    json_put_number(json, "waiting", (int64_t) dead->waiting);
    json_put_number(json, "skipped", (int64_t) dead->skipped);
    yajl_gen_map_close(json->generator);
}

static void put_pause(struct json_writer *json, const struct pause_facts *pause) {
    json_put_key(json, "paused");
    if (!pause->is_wanted) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    json_put_number(json, "since_unix_ms", pause->since_us / 1000);
    json_put_field(json, "by", pause->by);
    yajl_gen_map_close(json->generator);
}

static void put_sink(struct json_writer *json, const struct status *status, size_t i) {
    const struct config_sink *config = &status->config->sinks[i];
    const struct sink_status *sink = &status->sinks[i];
    const struct activity_sink *activity = activity_find(&status->activity, config->sink.name);
    lsn_t lsn = sink->view.position.end_lsn;
    yajl_gen_map_open(json->generator);
    json_put_field(json, "name", config->sink.name);
    json_put_field(json, "type", config->ops->type);
    json_put_lsn(json, "position", lsn);
    json_put_number(json, "lag_bytes", lag_of(status, lsn));
    json_put_number(json, "lag_ms", status_lag_ms(status, i));
    put_activity_sink(json, status, activity);
    put_left_out(json, &status->activity, config->sink.name);
    json_put_number(json, "age_ms", lsn != 0 ? sink->view.age_ms : -1);
    json_put_field(json, "stored_in", sink->is_from_disk ? "checkpoint" : "sink");
    put_conflicts(json, "conflicts", sink->view.conflicts);
    json_put_number(json, "rejected", (int64_t) sink->view.rejected);
    put_conflicts(json, "conflicts_stopped",
                  activity != NULL ? activity->stops : (uint64_t[CONFLICT_KINDS]){0});
    put_dead(json, &sink->view.dead);
    put_pause(json, &sink->pause);
    put_verified(json, &sink->verified);
    put_text(json, "error", error_line(sink->is_known ? &sink->copy_error : &sink->error).text);
    yajl_gen_map_close(json->generator);
}

static void put_failure(struct json_writer *json, const struct failure *failure) {
    json_put_key(json, "last_error");
    if (!failure->exists) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    put_text(json, "text", failure->error.text);
    put_text(json, "remedy", failure->error.remedy);
    put_text(json, "sqlstate", failure->error.sqlstate);
    put_text(json, "conflict", failure->error.conflict);
    json_put_number(json, "attempts", (int64_t) failure->attempts);
    json_put_number(json, "since_unix_ms", failure->since_us / 1000);
    json_put_number(json, "last_unix_ms", failure->last_us / 1000);
    json_put_lsn(json, "position", failure->position_lsn);
    yajl_gen_map_close(json->generator);
}

static const char *phase_name(enum checkpoint_phase phase) {
    static const char *const NAMES[] = {[CHECKPOINT_NONE] = "none",
                                        [CHECKPOINT_COPYING] = "copying",
                                        [CHECKPOINT_STREAMING] = "streaming",
                                        [CHECKPOINT_CORRUPT] = "corrupt",
                                        [CHECKPOINT_NEWER] = "newer"};
    return NAMES[phase];
}

static void put_checkpoint(struct json_writer *json, const struct checkpoint *checkpoint) {
    json_put_key(json, "checkpoint");
    yajl_gen_map_open(json->generator);
    json_put_field(json, "phase", phase_name(checkpoint->phase));
    json_put_number(json, "generation", (int64_t) checkpoint->generation);
    json_put_key(json, "sinks");
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < checkpoint->sink_count; i++)
        json_put_lsn(json, checkpoint->sinks[i].name, checkpoint->sinks[i].position.end_lsn);
    yajl_gen_map_close(json->generator);
    yajl_gen_map_close(json->generator);
}

void status_put_json(struct json_writer *json, const struct status *status) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "pipeline", status->config->name);
    json_put_field(json, "state", pipeline_state_name(status->state));
    json_put_key(json, "is_degraded");
    yajl_gen_bool(json->generator, status_is_degraded(status));
    put_text(json, "reason", status->reason);
    put_pid(json, "engine_pid", (int) status->engine_pid);
    put_failure(json, &status->failure);
    put_source(json, status);
    put_slot(json, status);
    json_put_key(json, "sinks");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < status->config->sink_count; i++)
        put_sink(json, status, i);
    yajl_gen_array_close(json->generator);
    put_copy(json, status);
    put_activity(json, status);
    put_checkpoint(json, &status->checkpoint);
    yajl_gen_map_close(json->generator);
}
