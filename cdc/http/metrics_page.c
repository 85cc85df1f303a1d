/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_page.c - one function for each group of families.
 */
#include "cdc/http/metrics_page.h"

#include <string.h>

#include "cdc/http/lag.h"
#include "cdc/http/metrics_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *sink_name(const struct view *view, size_t sink) {
    return view->config->sinks[sink].sink.name;
}

static const struct live_sink *sink_facts(const struct view *view, size_t sink) {
    return lag_sink(view->parts, view->part_count, sink);
}

/* ---- the pipeline ---- */

static bool streams(const struct view *view) {
    for (size_t i = 0; i < view->part_count; i++)
        if (view->parts[i].phase != LIVE_STREAMING)
            return false;
    return true;
}

static void put_states(const struct view *view, struct buffer *text) {
    static const char NAME[] = "pgcdc_state";
    metric_begin(text, NAME, "gauge", "1 for the state that the sink's pipeline is in.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        for (int phase = LIVE_STARTING; phase <= LIVE_ENDED; phase++)
            metric_put(text, NAME,
                       METRIC_LABELS({"sink", sink_name(view, i)},
                                     {"state", live_phase_name((enum live_phase) phase)}),
                       (int) lag_part(view->parts, view->part_count, i)->phase == phase);
}

static void put_pauses(const struct view *view, struct buffer *text) {
    metric_begin(text, "pgcdc_paused", "gauge", "1: an operator has paused the sink.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        metric_put(text, "pgcdc_paused", METRIC_LABELS({"sink", sink_name(view, i)}),
                   view->paused[i].is_wanted);
}

static void put_pipeline(const struct view *view, struct buffer *text) {
    metric_begin(text, "pgcdc_up", "gauge", "1: every sink is open and the stream runs.");
    metric_put(text, "pgcdc_up", METRIC_NO_LABELS, streams(view));
    metric_begin(text, "pgcdc_info", "gauge", "The program and its pipeline.");
    metric_put(text, "pgcdc_info",
               METRIC_LABELS({"version", HTTP_VERSION_OF_PGCDC}, {"pipeline", view->config->name}), 1);
    if (view->parts[0].activity.started_us != 0) {
        metric_begin(text, "pgcdc_process_start_time_seconds", "gauge",
                     "When the pipeline's process started, since 1970.");
        metric_put_seconds(text, "pgcdc_process_start_time_seconds", METRIC_NO_LABELS,
                           view->parts[0].activity.started_us);
    }
    put_states(view, text);
    put_pauses(view, text);
}

/* Attempts of all parts that failed. */
static void put_retries(const struct view *view, struct buffer *text) {
    static const char NAME[] = "pgcdc_retry_total";
    struct live_retries sums[LIVE_KINDS_MAX * 2];
    size_t count = 0;
    for (size_t i = 0; i < view->part_count; i++) {
        for (size_t k = 0; k < view->parts[i].retry_count; k++) {
            const struct live_retries *retries = &view->parts[i].retries[k];
            size_t at = 0;
            while (at < count && strcmp(sums[at].kind, retries->kind) != 0)
                at++;
            if (at == count && count < COUNT(sums)) {
                sums[count] = *retries;
                sums[count++].count = 0;
            }
            if (at < COUNT(sums))
                sums[at].count += retries->count;
        }
    }
    metric_begin(text, NAME, "counter", "Attempts that failed and were retried, by SQLSTATE.");
    for (size_t i = 0; i < count; i++)
        metric_put(text, NAME, METRIC_LABELS({"kind", sums[i].kind}), sums[i].count);
}

/* ---- places in the WAL ---- */

static void put_stage(struct buffer *text, const char *stage, const char *sink, lsn_t lsn) {
    if (lsn == 0)
        return;
    if (sink == NULL)
        metric_put(text, "pgcdc_stage_lsn_bytes", METRIC_LABELS({"stage", stage}), lsn);
    else
        metric_put(text, "pgcdc_stage_lsn_bytes", METRIC_LABELS({"stage", stage}, {"sink", sink}), lsn);
}

static void put_stages(const struct view *view, struct buffer *text) {
    metric_begin(text, "pgcdc_stage_lsn_bytes", "gauge",
                 "The place in the source's WAL that each stage has reached.");
    put_stage(text, "source", NULL, view->source.sample.end_lsn);
    put_stage(text, "received", NULL, view->parts[0].received_lsn);
    if (view->part_count > 1)
        put_stage(text, "durable", "buffer", view->parts[0].sinks[0].durable_lsn);
    for (size_t i = 0; i < view->config->sink_count; i++) {
        const struct live_sink *sink = sink_facts(view, i);
        put_stage(text, "written", sink_name(view, i), sink->written_lsn);
        put_stage(text, "visible", sink_name(view, i), sink->visible_lsn);
        put_stage(text, "durable", sink_name(view, i), sink->durable_lsn);
    }
    put_stage(text, "checkpoint", NULL, view->parts[0].saved_lsn);
    put_stage(text, "confirmed", NULL, view->source.has_slot ? view->source.confirmed_lsn : 0);
}

static void put_lag(const struct view *view, struct buffer *text) {
    metric_begin(text, "pgcdc_lag_bytes", "gauge",
                 "WAL of the source that the sink does not have; 0 when all of it has nothing for the sink.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        metric_put(text, "pgcdc_lag_bytes", METRIC_LABELS({"sink", sink_name(view, i)}),
                   view_lag_bytes(view, i));
    metric_begin(text, "pgcdc_lag_seconds", "gauge",
                 "The sink has everything that was committed this long ago; grows while it is stuck.");
    for (size_t i = 0; i < view->config->sink_count; i++) {
        const int64_t lag_ms = view_lag_ms(view, i);
        if (lag_ms >= 0)
            metric_put_seconds(text, "pgcdc_lag_seconds", METRIC_LABELS({"sink", sink_name(view, i)}),
                               lag_ms * 1000);
    }
}

static void put_latencies(const struct view *view, struct buffer *text) {
    static const char NAME[] = "pgcdc_latency_seconds";
    metric_begin(text, NAME, "histogram",
                 "Of each group that a sink commits: since its last transaction's commit at the source "
                 "(commit), and since its first write (write).");
    for (size_t i = 0; i < view->config->sink_count; i++) {
        const struct live_sink *sink = sink_facts(view, i);
        metric_put_latency(text, NAME, METRIC_LABELS({"sink", sink_name(view, i)}, {"stage", "commit"}),
                           &sink->since_commit);
        metric_put_latency(text, NAME, METRIC_LABELS({"sink", sink_name(view, i)}, {"stage", "write"}),
                           &sink->since_write);
    }
}

static void put_one(struct buffer *text, const char *name, const char *type, const char *help,
                    uint64_t value) {
    metric_begin(text, name, type, help);
    metric_put(text, name, METRIC_NO_LABELS, value);
}

static void put_slot(const struct view *view, struct buffer *text) {
    const struct source_probe_facts *source = &view->source;
    if (!source->has_slot)
        return;
    if (source->restart_lsn != 0 && source->sample.end_lsn >= source->restart_lsn)
        put_one(text, "pgcdc_slot_retained_wal_bytes", "gauge", "WAL that the source keeps for the slot.",
                source->sample.end_lsn - source->restart_lsn);
    if (source->safe_bytes >= 0)
        put_one(text, "pgcdc_slot_safe_wal_bytes", "gauge",
                "WAL that can be written before the slot is lost; absent without a limit.",
                (uint64_t) source->safe_bytes);
    put_one(text, "pgcdc_slot_lost", "gauge", "1: the source has removed WAL that the slot needs.",
            source->is_lost);
    put_one(text, "pgcdc_slot_spill_transactions_total", "counter",
            "Transactions that the source has spilled to its disk while it decoded.",
            source->spill_transactions);
    put_one(text, "pgcdc_slot_spill_bytes_total", "counter", "Bytes of these.", source->spill_bytes);
}

/* ---- changes ---- */

static void put_table(const struct view *view, size_t sink, const char *name, struct table_count *table,
                      struct buffer *text) {
    for (int op = 0; op < TABLE_OPS; op++) {
        const uint64_t count = atomic_load_explicit(&table->counts[op], memory_order_relaxed);
        if (count > 0)
            metric_put(text, "pgcdc_changes_total",
                       METRIC_LABELS({"sink", sink_name(view, sink)}, {"table", name},
                                     {"op", table_op_name((enum table_op) op)}),
                       count);
    }
}

static void put_changes(const struct view *view, struct buffer *text) {
    metric_begin(text, "pgcdc_transactions_total", "counter", "Transactions that the sink has committed.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        metric_put(text, "pgcdc_transactions_total", METRIC_LABELS({"sink", sink_name(view, i)}),
                   view_activity(view, i)->transactions);
    metric_begin(text, "pgcdc_changes_total", "counter",
                 "Changes that the sink has committed; tables without a place of their own are *.");
    for (size_t i = 0; i < view->config->sink_count; i++) {
        struct table_counts *counts = view_counts(view, i);
        const size_t count = atomic_load_explicit(&counts->count, memory_order_acquire);
        for (size_t t = 0; t < count; t++)
            put_table(view, i, counts->tables[t].name, &counts->tables[t], text);
        put_table(view, i, "*", &counts->others, text);
    }
}

static void put_filtered(const struct view *view, struct buffer *text) {
    static const char NAME[] = "pgcdc_filtered_total";
    metric_begin(text, NAME, "counter", "Changes that a rule of the mapping has left out of the sink.");
    for (size_t p = 0; p < view->part_count; p++) {
        const struct activity *activity = &view->parts[p].activity;
        for (size_t i = 0; i < activity->left_out_count; i++) {
            const struct activity_left_out *item = &activity->left_out[i];
            metric_put(text, NAME,
                       METRIC_LABELS({"sink", item->sink}, {"rule", item->rule}, {"table", item->table}),
                       item->changes);
        }
    }
}

static void put_dead(const struct view *view, struct buffer *text) {
    static const char NAME[] = "pgcdc_dead_letters";
    metric_begin(text, NAME, "gauge",
                 "Changes that did not fit the sink (failed), that wait behind one of these (waiting), and "
                 "that an operator has left out (skipped).");
    for (size_t i = 0; i < view->config->sink_count; i++) {
        const struct sink_probe_facts *sink = &view->sinks[i];
        if (!sink->is_looked_at)
            continue;
        const struct {
            const char *state;
            uint64_t count;
        } COUNTS[] = {
            {"failed", sink->dead.failed}, {"waiting", sink->dead.waiting}, {"skipped", sink->dead.skipped}};
        for (size_t k = 0; k < COUNT(COUNTS); k++)
            metric_put(text, NAME, METRIC_LABELS({"sink", sink_name(view, i)}, {"state", COUNTS[k].state}),
                       COUNTS[k].count);
    }
    metric_begin(text, "pgcdc_conflicts_total", "counter",
                 "Conflicts that stopped the pipeline at the sink, since the pipeline exists.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        for (size_t k = 0; k < CONFLICT_KINDS; k++)
            metric_put(text, "pgcdc_conflicts_total",
                       METRIC_LABELS({"sink", sink_name(view, i)},
                                     {"kind", conflict_kind_name((enum conflict_kind) k)}),
                       view_activity(view, i)->stops[k]);
}

/* ---- the copy ---- */

static void put_copy_table(const struct progress_table *table, struct buffer *text) {
    metric_put(text, "pgcdc_copy_table_bytes", METRIC_LABELS({"table", table->name}),
               table->tally.bytes_done);
}

static void put_copy(const struct view *view, struct buffer *text) {
    const struct live_facts *part = view_copying(view);
    put_one(text, "pgcdc_copy_runs", "gauge", "1: rows are being copied.", part != NULL);
    if (part == NULL)
        return;
    const struct progress_total *copy = &part->copy;
    const int64_t left_ms = progress_left_ms(&copy->rate, copy->bytes_done, copy->bytes_estimate);
    put_one(text, "pgcdc_copy_tables", "gauge", "Tables of the copy that runs.", copy->table_count);
    put_one(text, "pgcdc_copy_tables_done", "gauge", "Tables of it that are complete.", copy->tables_done);
    put_one(text, "pgcdc_copy_chunks", "gauge", "Chunks of it; 0 for a copy in one step.", copy->chunk_count);
    put_one(text, "pgcdc_copy_chunks_done", "gauge", "Chunks of it that are complete.", copy->chunks_done);
    put_one(text, "pgcdc_copy_rows", "gauge", "Rows that it has copied.", copy->rows);
    put_one(text, "pgcdc_copy_bytes", "gauge", "Bytes of the source's disk that are copied.",
            copy->bytes_done);
    put_one(text, "pgcdc_copy_estimated_bytes", "gauge", "Bytes of the source's disk in all.",
            copy->bytes_estimate);
    if (left_ms >= 0) {
        metric_begin(text, "pgcdc_copy_eta_seconds", "gauge", "What the rest takes at the present rate.");
        metric_put_seconds(text, "pgcdc_copy_eta_seconds", METRIC_NO_LABELS, left_ms * 1000);
    }
    metric_begin(text, "pgcdc_copy_table_bytes", "gauge", "The same of tables in work.");
    for (size_t i = 0; i < copy->shown_count; i++)
        put_copy_table(&copy->tables[i], text);
}

/* ---- proofs ---- */

static void put_proofs(const struct view *view, struct buffer *text) {
    metric_begin(text, "pgcdc_verified_age_seconds", "gauge",
                 "Since when the table was last proven equal in all its parts.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        for (size_t t = 0; t < view->sinks[i].table_count; t++) {
            const struct probe_table *table = &view->sinks[i].tables[t];
            if (table->equal_us != 0)
                metric_put_seconds(text, "pgcdc_verified_age_seconds",
                                   METRIC_LABELS({"sink", sink_name(view, i)}, {"table", table->name}),
                                   view->unix_us - table->equal_us);
        }
    metric_begin(text, "pgcdc_verified_lsn_bytes", "gauge", "The place in the WAL at which it was equal.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        for (size_t t = 0; t < view->sinks[i].table_count; t++) {
            const struct probe_table *table = &view->sinks[i].tables[t];
            if (table->equal_us != 0)
                metric_put(text, "pgcdc_verified_lsn_bytes",
                           METRIC_LABELS({"sink", sink_name(view, i)}, {"table", table->name}),
                           table->equal_lsn);
        }
    metric_begin(text, "pgcdc_verified_different", "gauge", "1: rows of the table differ.");
    for (size_t i = 0; i < view->config->sink_count; i++)
        for (size_t t = 0; t < view->sinks[i].table_count; t++)
            metric_put(text, "pgcdc_verified_different",
                       METRIC_LABELS({"sink", sink_name(view, i)}, {"table", view->sinks[i].tables[t].name}),
                       view->sinks[i].tables[t].differs);
}

void metrics_page_put(const struct view *view, struct buffer *text) {
    put_pipeline(view, text);
    put_stages(view, text);
    put_lag(view, text);
    put_latencies(view, text);
    put_changes(view, text);
    put_filtered(view, text);
    put_dead(view, text);
    put_retries(view, text);
    put_slot(view, text);
    put_copy(view, text);
    put_proofs(view, text);
    metrics_process_put(text);
}
