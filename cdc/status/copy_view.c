/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_view.c - joins the stored plans with the engine's activity.
 */
#include "cdc/status/copy_view.h"

#include <string.h>

/* An engine on another machine is seen by its use of the slot. */
static bool engine_runs(const struct status *status) {
    return status->engine_pid != 0 || status->slot.active_pid != 0;
}

static const struct activity_copy *current_copy(const struct status *status) {
    return status->activity_is_current && status->activity.copy.runs ? &status->activity.copy : NULL;
}

/* Without an engine, what an interruption undoes is not done. */
static void undo_unsafe(struct chunk_tally *tally) {
    if (tally->chunks_safe == tally->chunks_done)
        return;
    tally->chunks_done = tally->chunks_safe;
    tally->rows = tally->bytes_done = 0;
}

static void add_activity(const struct copy_view *view, struct copy_view_table *table) {
    const struct activity_copy *copy = current_copy(view->status);
    struct chunk_tally *tally = &table->tally;
    for (size_t i = 0; copy != NULL && i < copy->shown_count; i++) {
        const struct activity_table *activity = &copy->tables[i];
        if (activity->oid != tally->oid ||
            strcmp(activity->sink, view->status->config->sinks[table->sink].sink.name) != 0)
            continue;
        tally->chunks_read = 1; /* at least */
        tally->rows = activity->rows > tally->rows ? activity->rows : tally->rows; /* the plan is newer */
        tally->bytes_done =
            activity->bytes_done > tally->bytes_done ? activity->bytes_done : tally->bytes_done;
        table->bytes_per_s = activity->bytes_per_s;
        table->left_ms = activity->left_ms;
    }
}

bool copy_view_next(const struct copy_view *view, struct copy_view_table *table) {
    const struct status *status = view->status;
    while (table->sink < status->config->sink_count && table->next == status->sinks[table->sink].copy.count)
        *table = (struct copy_view_table){.sink = table->sink + 1};
    if (table->sink == status->config->sink_count)
        return false;
    table->tally = status->sinks[table->sink].copy.tables[table->next++];
    table->bytes_per_s = table->left_ms = -1;
    if (engine_runs(status))
        add_activity(view, table);
    else
        undo_unsafe(&table->tally);
    return true;
}

static void add_tables(struct copy_view *view) {
    for (struct copy_view_table table = {0}; copy_view_next(view, &table);) {
        chunk_tally_add(&view->sum, &table.tally);
        view->table_count++;
        view->tables_done += table.tally.chunks_done == table.tally.chunk_count;
    }
}

static void take_step(struct copy_view *view, const struct activity_copy *copy) {
    view->state = COPY_RUNS;
    view->table = copy->table;
    view->sum.rows = copy->rows;
    view->sum.bytes_done = copy->bytes_done;
    view->sum.bytes_estimate = copy->bytes_estimate;
    view->tables_done = copy->tables_done;
    view->table_count = copy->table_count;
}

void copy_view_make(const struct status *status, struct copy_view *ret_view) {
    const struct activity_copy *copy = current_copy(status);
    *ret_view =
        (struct copy_view){.status = status, .table = "", .bytes = -1, .bytes_per_s = -1, .left_ms = -1};
    add_tables(ret_view);
    if (ret_view->table_count > 0)
        ret_view->state = ret_view->tables_done == ret_view->table_count ? COPY_ENDS
                          : engine_runs(status)                          ? COPY_RUNS
                                                                         : COPY_INTERRUPTED;
    else if (copy != NULL && status->checkpoint.phase == CHECKPOINT_COPYING)
        take_step(ret_view, copy);
    if (copy == NULL || ret_view->state != COPY_RUNS)
        return;
    ret_view->bytes = (int64_t) copy->bytes;
    ret_view->bytes_per_s = copy->bytes_per_s;
    ret_view->left_ms = copy->left_ms;
}

const char *copy_state_name(enum copy_state state) {
    static const char *const NAMES[] = {
        [COPY_RUNS] = "running", [COPY_ENDS] = "ending", [COPY_INTERRUPTED] = "interrupted"};
    return NAMES[state];
}
