/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_text.c - a status for people.
 */
#include "cdc/status/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/shell_word.h"
#include "cdc/base/visible.h"
#include "cdc/status/copy_view.h"

enum {
    NAME_WIDTH_MIN = 4,
    NAME_WIDTH_MAX = 50,
    TYPE_WIDTH = 8,
    LSN_WIDTH = 17,
    LAG_WIDTH = 8,
    BEHIND_WIDTH = 8,
    TABLES_SHOWN_MAX = 20,
};

/* ---- pipeline, source, slot ---- */

static void append_engine(struct buffer *text, const struct status *status) {
    if (status->engine_pid != 0)
        buffer_printf(text, ", engine pid %d", (int) status->engine_pid);
    else if (status->state == STATE_STREAMING)
        buffer_printf(text, " by a session that does not use %s here", status->config->state);
    else
        buffer_append_text(text, ", no engine is running here");
}

static void append_pipeline(struct buffer *text, const struct status *status) {
    buffer_printf(text, "pipeline    %s: %s", status->config->name, pipeline_state_name(status->state));
    append_engine(text, status);
    if (status_is_degraded(status))
        buffer_append_text(text, "; degraded: a sink has dead letters");
    buffer_append_text(text, "\n");
    if (status->reason[0] != '\0')
        buffer_printf(text, "            %s\n", status->reason);
}

static void append_failure(struct buffer *text, const struct status *status) {
    const struct failure *failure = &status->failure;
    if (!failure->exists)
        return;
    const int64_t age_ms = (clock_unix_us() - failure->last_us) / 1000;
    const bool is_reason = strstr(status->reason, failure->error.text) != NULL;
    buffer_printf(text, "last error  %s ago, %s: %s\n", amount_duration(age_ms > 0 ? age_ms : 0).text,
                  amount_count(failure->attempts, "attempt").text,
                  is_reason ? "the same" : failure->error.text);
    if (failure->error.remedy[0] != '\0' && !is_reason)
        buffer_printf(text, "            %s\n", failure->error.remedy);
}

static void append_archive(struct buffer *text, const struct status *status) {
    buffer_printf(text, "archive     %s: database %s, system %" PRIu64 ", timeline %" PRIu32 ", ends at %s\n",
                  status->config->source.archive, status->identity.database, status->identity.system_id,
                  status->identity.timeline, lsn_format(status->identity.flush_lsn).text);
}

static void append_source(struct buffer *text, const struct status *status) {
    buffer_printf(text,
                  "source      PostgreSQL %d.%d, database %s, system %" PRIu64 ", timeline %" PRIu32
                  ", WAL flushed to %s\n",
                  status->server_version / 10000, status->server_version % 10000, status->identity.database,
                  status->identity.system_id, status->identity.timeline,
                  lsn_format(status->identity.flush_lsn).text);
}

/* wal_status is explained in PostgreSQL's documentation of pg_replication_slots. */
static void append_retention(struct buffer *text, const struct status *status) {
    buffer_printf(text, ", holds %s of WAL (%s",
                  amount_bytes((double) status_lag_bytes(status, status->slot.restart_lsn)).text,
                  status->wal_status);
    if (status->safe_wal_bytes >= 0)
        buffer_printf(text, ", lost after %s more", amount_bytes((double) status->safe_wal_bytes).text);
    buffer_append_text(text, ")");
}

static void append_slot(struct buffer *text, const struct status *status) {
    const struct slot_facts *slot = &status->slot;
    buffer_printf(text, "slot        %s: ", status->config->source.slot);
    if (!slot->exists) {
        buffer_append_text(text, "does not exist\n");
        return;
    }
    if (slot->active_pid != 0)
        buffer_printf(text, "in use by pid %d", slot->active_pid);
    else
        buffer_append_text(text, slot->is_lost ? "lost" : "not in use");
    buffer_printf(text, ", confirmed to %s", lsn_format(slot->confirmed_lsn).text);
    if (slot->restart_lsn != 0)
        append_retention(text, status);
    buffer_append_text(text, slot->is_failover ? ", a failover slot\n" : "\n");
    if (status->standby_waits[0] != '\0')
        buffer_printf(text, "            the server waits for synchronized_standby_slots: %s\n",
                      status->standby_waits);
}

/* ---- checkpoint ---- */

static const char *phase_text(enum checkpoint_phase phase) {
    switch (phase) {
    case CHECKPOINT_NONE:
        return "none yet";
    case CHECKPOINT_COPYING:
        return "initial copy in progress or interrupted";
    case CHECKPOINT_STREAMING:
        return "confirmed to";
    case CHECKPOINT_CORRUPT:
        return "corrupt";
    case CHECKPOINT_NEWER:
        return "written by a newer pgcdc";
    }
    return "";
}

static void append_checkpoint(struct buffer *text, const struct status *status) {
    const struct checkpoint *checkpoint = &status->checkpoint;
    buffer_printf(text, "checkpoint  %s/%s.checkpoint: %s", status->config->state, status->config->name,
                  phase_text(checkpoint->phase));
    if (checkpoint->phase == CHECKPOINT_STREAMING)
        buffer_printf(text, " %s, generation %" PRIu64, lsn_format(checkpoint_confirmed_lsn(checkpoint)).text,
                      checkpoint->generation);
    buffer_append_text(text, "\n");
}

/* ---- what the engine does ---- */

static void append_rate(struct buffer *text, int64_t bytes_per_s, int64_t left_ms) {
    if (bytes_per_s >= 0)
        buffer_printf(text, ", %s/s", amount_bytes((double) bytes_per_s).text);
    if (left_ms >= 0)
        buffer_printf(text, ", %s left", amount_duration(left_ms).text);
}

static void append_sum(struct buffer *text, const struct copy_view *view) {
    const struct chunk_tally *sum = &view->sum;
    const double part =
        sum->bytes_estimate > 0 ? (double) sum->bytes_done * 100 / (double) sum->bytes_estimate : 0;
    if (sum->chunk_count > 0)
        buffer_printf(text, "%" PRIu64 " of %s, ", sum->chunks_done,
                      amount_count(sum->chunk_count, "chunk").text);
    else if (view->table[0] != '\0')
        buffer_printf(text, "%s, ", view->table);
    buffer_printf(text, "%" PRIu64 " of %s, %s, %s of %s (%.0f %%)", view->tables_done,
                  amount_count(view->table_count, "table").text, amount_count(sum->rows, "row").text,
                  amount_bytes((double) sum->bytes_done).text,
                  amount_bytes((double) sum->bytes_estimate).text, part);
}

static void append_table(struct buffer *text, const struct copy_view *view,
                         const struct copy_view_table *table) {
    const struct chunk_tally *tally = &table->tally;
    const struct config *config = view->status->config;
    char raw[160], name[512];
    snprintf(raw, sizeof raw, "%s.%s", tally->schema, tally->table);
    visible_write(name, sizeof name, slice_of(raw));
    buffer_append_text(text, "            ");
    if (config->sink_count > 1)
        buffer_printf(text, "%s: ", config->sinks[table->sink].sink.name);
    buffer_printf(text, "%s: %" PRIu64 " of %s, %s, %s of %s", name, tally->chunks_done,
                  amount_count(tally->chunk_count, "chunk").text, amount_count(tally->rows, "row").text,
                  amount_bytes((double) tally->bytes_done).text,
                  amount_bytes((double) tally->bytes_estimate).text);
    append_rate(text, table->bytes_per_s, table->left_ms);
    buffer_append_text(text, "\n");
}

/* Tables that were begun, then how many were not. */
static void append_tables(struct buffer *text, const struct copy_view *view) {
    size_t shown = 0, more = 0, waiting = 0;
    for (struct copy_view_table table = {0}; copy_view_next(view, &table);) {
        const bool is_begun = table.tally.chunks_done > 0 || table.tally.chunks_read > 0;
        if (table.tally.chunks_done == table.tally.chunk_count)
            continue;
        waiting += !is_begun;
        more += is_begun && shown == TABLES_SHOWN_MAX;
        if (!is_begun || shown == TABLES_SHOWN_MAX)
            continue;
        shown++;
        append_table(text, view, &table);
    }
    if (more > 0)
        buffer_printf(text, "            copied in part, too: %s (--json lists them)\n",
                      amount_count(more, "table").text);
    if (waiting > 0)
        buffer_printf(text, "            not begun yet: %s\n", amount_count(waiting, "table").text);
}

static void append_copy(struct buffer *text, const struct status *status) {
    struct copy_view view;
    copy_view_make(status, &view);
    if (view.state == COPY_NONE)
        return;
    if (view.table_count == 0) {
        buffer_append_text(text, "copy        begins\n");
        return;
    }
    buffer_append_text(text, view.state == COPY_INTERRUPTED ? "copy        interrupted: " : "copy        ");
    append_sum(text, &view);
    append_rate(text, view.bytes_per_s, view.left_ms);
    if (view.state == COPY_INTERRUPTED && status_can_start(status))
        buffer_append_text(text, "; `pgcdc run` goes on from there");
    if (view.state == COPY_ENDS)
        buffer_append_text(text, "; it is complete once the stream has passed what the chunks contain");
    buffer_append_text(text, "\n");
    append_tables(text, &view);
}

static void append_copy_errors(struct buffer *text, const struct status *status) {
    for (size_t i = 0; i < status->config->sink_count; i++)
        if (status->sinks[i].copy_error.kind != ERROR_NONE)
            buffer_printf(text, "copy        unknown: sink %s: %s\n", status->config->sinks[i].sink.name,
                          error_line(&status->sinks[i].copy_error).text);
}

static void append_counts(struct buffer *text, const struct status *status) {
    const struct activity *activity = &status->activity;
    if (!activity->exists)
        return;
    const int64_t end_us = status->activity_is_current ? clock_unix_us() : activity->written_us;
    const int64_t ran_ms = end_us > activity->started_us ? (end_us - activity->started_us) / 1000 : 0;
    buffer_printf(text, "%s %s, %s copied",
                  status->activity_is_current ? "engine      runs for" : "last run    took",
                  amount_duration(ran_ms).text, amount_count(activity->rows_copied, "row").text);
    for (size_t i = 0; i < activity->sink_count; i++) {
        const struct activity_sink *sink = &activity->sinks[i];
        buffer_printf(text, "; %s: %s, %s", sink->name, amount_count(sink->transactions, "transaction").text,
                      amount_count(sink->changes, "change").text);
        if (sink->left_out > 0)
            buffer_printf(text, " (%" PRIu64 " left out by the mapping)", sink->left_out);
        if (status->activity_is_current)
            buffer_printf(text, ", %.1f changes/s", sink->changes_per_s);
    }
    buffer_append_text(text, "\n");
}

static void append_left_out(struct buffer *text, const struct status *status) {
    for (size_t i = 0; i < status->activity.left_out_count; i++) {
        const struct activity_left_out *item = &status->activity.left_out[i];
        char table[512], rule[512];
        visible_write(table, sizeof table, slice_of(item->table));
        visible_write(rule, sizeof rule, slice_of(item->rule));
        buffer_append_text(text, "left out    ");
        if (status->config->sink_count > 1)
            buffer_printf(text, "%s: ", item->sink);
        buffer_printf(text, "%s and ", amount_count(item->changes, "change").text);
        buffer_printf(text, "%s of %s, by the rule for %s\n", amount_count(item->copied, "copied row").text,
                      table, rule);
    }
}

/* ---- continuous verification ---- */

static void append_proof(struct buffer *text, const struct verified_table *table) {
    const int64_t age_us = clock_unix_us() - table->equal_us;
    if (table->equal_us == 0)
        buffer_printf(text, "not proven equal yet, %zu of %s compared", verified_count(table, VERIFIED_EQUAL),
                      amount_count(table->range_count, "range").text);
    else
        buffer_printf(text, "proven equal %s ago, at %s",
                      amount_duration(age_us > 0 ? age_us / 1000 : 0).text,
                      lsn_format(table->equal_lsn).text);
}

static void append_verified_table(struct buffer *text, const struct config *config, const char *sink,
                                  const struct verified_table *table) {
    const struct verified_range sum = verified_sum(table);
    char raw[160], name[512];
    snprintf(raw, sizeof raw, "%s.%s", table->schema, table->name);
    visible_write(name, sizeof name, slice_of(raw));
    if (config->sink_count > 1)
        buffer_printf(text, "%s: ", sink);
    buffer_printf(text, "%s: ", name);
    if (verified_count(table, VERIFIED_DIFFERENT) > 0)
        buffer_printf(text, "DIFFERS, %" PRIu64 " missing, %" PRIu64 " extra, %" PRIu64 " different; ",
                      sum.missing, sum.extra, sum.different);
    append_proof(text, table);
    buffer_append_text(text, "\n");
    if (verified_count(table, VERIFIED_DIFFERENT) > 0)
        buffer_printf(text, "            `pgcdc verify --repair --table %s` copies what differs again\n",
                      shell_word(raw).text);
}

/* Those that differ first. */
static void append_verified(struct buffer *text, const struct status *status) {
    size_t shown = 0, left = 0;
    for (int differs = 1; differs >= 0; differs--)
        for (size_t i = 0; i < status->config->sink_count; i++)
            for (size_t j = 0; j < status->sinks[i].verified.count; j++) {
                const struct verified_table *table = &status->sinks[i].verified.tables[j];
                if ((verified_count(table, VERIFIED_DIFFERENT) > 0) != (differs == 1))
                    continue;
                left += shown == TABLES_SHOWN_MAX;
                if (shown == TABLES_SHOWN_MAX)
                    continue;
                buffer_append_text(text, shown++ == 0 ? "verified    " : "            ");
                append_verified_table(text, status->config, status->config->sinks[i].sink.name, table);
            }
    if (left > 0)
        buffer_printf(text, "            and %s more (--json lists them)\n",
                      amount_count(left, "table").text);
}

/* ---- sinks ---- */

static int name_width(const struct config *config) {
    size_t width = NAME_WIDTH_MIN;
    for (size_t i = 0; i < config->sink_count; i++)
        if (strlen(config->sinks[i].sink.name) > width)
            width = strlen(config->sinks[i].sink.name);
    return width < NAME_WIDTH_MAX ? (int) width : NAME_WIDTH_MAX;
}

static void append_position(struct buffer *text, const struct status *status, size_t i) {
    const struct sink_status *sink = &status->sinks[i];
    const int64_t lag_ms = status_lag_ms(status, i);
    const struct position *position = &sink->view.position;
    if (!position_exists(position)) {
        buffer_append_text(text, "none\n");
        return;
    }
    bool has_lag = status->identity.flush_lsn != 0;
    struct amount lag = amount_bytes((double) status_lag_bytes(status, position->end_lsn));
    buffer_printf(text, "%-*s  %*s  %*s  ", LSN_WIDTH, lsn_format(position->end_lsn).text, LAG_WIDTH,
                  has_lag ? lag.text : "unknown", BEHIND_WIDTH,
                  lag_ms >= 0 ? amount_duration(lag_ms).text : "unknown");
    if (sink->is_from_disk)
        buffer_append_text(text, "in the checkpoint\n");
    else
        buffer_printf(text, "%s ago\n", amount_duration(sink->view.age_ms).text);
}

/* head: "conflicts ...: " */
static void append_conflicts(struct buffer *text, const uint64_t *counts, const char *head, int indent) {
    const char *glue = head;
    for (size_t i = 0; i < CONFLICT_KINDS; i++) {
        if (counts[i] == 0)
            continue;
        if (glue == head)
            buffer_printf(text, "%*s", indent, "");
        buffer_printf(text, "%s%" PRIu64 " %s", glue, counts[i], conflict_kind_name((enum conflict_kind) i));
        glue = ", ";
    }
    if (glue != head)
        buffer_append_text(text, "\n");
}

static void append_dead(struct buffer *text, const struct dead_count *dead, int indent) {
    if (dead->failed + dead->waiting > 0)
        buffer_printf(text, "%*sdead letters: %" PRIu64 " failed, %" PRIu64 " waiting; `pgcdc dead list`\n",
                      indent, "", dead->failed, dead->waiting);
    if (dead->skipped > 0)
        buffer_printf(text, "%*sdead letters left out for good: %" PRIu64 "\n", indent, "", dead->skipped);
}

static void append_sinks(struct buffer *text, const struct status *status) {
    int width = name_width(status->config);
    buffer_printf(text, "\n%-*s  %-*s  %-*s  %*s  %*s  %s\n", width, "sink", TYPE_WIDTH, "type", LSN_WIDTH,
                  "position", LAG_WIDTH, "lag", BEHIND_WIDTH, "behind", "stored");
    for (size_t i = 0; i < status->config->sink_count; i++) {
        const struct config_sink *config = &status->config->sinks[i];
        const struct sink_status *sink = &status->sinks[i];
        buffer_printf(text, "%-*s  %-*s  ", width, config->sink.name, TYPE_WIDTH, config->ops->type);
        if (sink->is_known)
            append_position(text, status, i);
        else
            buffer_printf(text, "unknown: %s\n",
                          sink->is_from_disk ? "the checkpoint cannot be read"
                                             : error_line(&sink->error).text);
        const struct activity_sink *activity = activity_find(&status->activity, config->sink.name);
        append_dead(text, &sink->view.dead, width + 2);
        append_conflicts(text, sink->view.conflicts, "conflicts settled: ", width + 2);
        if (sink->view.rejected > 0)
            buffer_printf(text, "%*srejected rows: %s\n", width + 2, "", sink->view.rejected_tables);
        if (activity != NULL)
            append_conflicts(text, activity->stops, "conflicts that stopped it: ", width + 2);
    }
}

static void append_pauses(struct buffer *text, const struct status *status) {
    if (status->pause_error.kind != ERROR_NONE)
        buffer_printf(text, "paused      unknown: %s\n", error_line(&status->pause_error).text);
    for (size_t i = 0; i < status->config->sink_count; i++) {
        const struct pause_facts *pause = &status->sinks[i].pause;
        if (pause->is_wanted)
            buffer_printf(text, "paused      sink %s, for %s, by %s (pgcdc resume)\n",
                          status->config->sinks[i].sink.name,
                          amount_duration((clock_unix_us() - pause->since_us) / 1000).text, pause->by);
    }
}

void status_append_text(struct buffer *text, const struct status *status) {
    append_pipeline(text, status);
    append_pauses(text, status);
    append_failure(text, status);
    if (status->state != STATE_UNKNOWN && status->reader != NULL)
        append_archive(text, status);
    else if (status->state != STATE_UNKNOWN) {
        append_source(text, status);
        append_slot(text, status);
    }
    append_checkpoint(text, status);
    append_copy(text, status);
    append_copy_errors(text, status);
    append_counts(text, status);
    append_left_out(text, status);
    append_verified(text, status);
    append_sinks(text, status);
}
