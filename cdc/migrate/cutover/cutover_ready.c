/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_ready.c - READY: everything that can be known before writers wait is asked before.
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/engine/state_lock.h"
#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/sequences/sequences.h"

/* The lag is small when the stream is at its end within this time. */
enum { LAG_MS_MAX = 30000 };

static bool check_copied(struct cutover *cutover, struct error *err) {
    struct chunk_plan plan = {0};
    struct sink_view view = {0};
    const struct sink_ops *ops = cutover->sink->ops;
    if (!sink_look(ops, &cutover->sink->sink, &cutover->stop, &view, err))
        return false;
    struct sink *handle = sink_new(ops, &cutover->sink->sink, &cutover->stop);
    if (handle == NULL)
        return error_no_memory(err);
    const bool looked = ops->chunk == NULL || ops->chunk->look(handle, &cutover->arena, &plan, err);
    sink_free(handle);
    if (!looked)
        return false;
    if (plan.count == 0 && position_exists(&view.position))
        return true;
    error_set(err, ERROR_REFUSE,
              plan.count > 0 ? "the copy of pipeline %s is not complete"
                             : "pipeline %s has not begun: its sink has no position",
              cutover->stream->name);
    return error_remedy(err, "let `pgcdc run` go on until `pgcdc status` shows that the copy is complete");
}

static bool check_sequences(struct cutover *cutover, struct error *err) {
    struct sequences_config config = cutover->config->sequences;
    struct sequence_list list;
    config.follow = config.follow == SEQUENCES_NONE ? SEQUENCES_TABLES : config.follow;
    const struct sequence_terms terms = {.config = &config,
                                         .publications = cutover->stream->source.publication_array};
    struct buffer names AUTO(buffer_release) = {.bytes_max = ERROR_TEXT_MAX / 2};
    if (!sequences_compare(&cutover->from, &cutover->to, &terms, &cutover->arena, &list, err))
        return false;
    if ((cutover->config->cutover.accepted & LEFT_SEQUENCES) != 0)
        return true;
    for (int state = SEQUENCE_MISSING; state < SEQUENCE_STATES; state++) {
        if (list.counts[state] == 0)
            continue;
        sequences_name(&list, (enum sequence_state) state, &names);
        error_set(err, ERROR_REFUSE, "sequences cannot be set at the %s, because they are %s: %s",
                  cutover_side(cutover, false), sequence_state_name((enum sequence_state) state),
                  buffer_text(&names) != NULL ? names.data : "many");
        return error_remedy(err,
                            "create them there, grant SELECT on them at the %s and SELECT, UPDATE at the "
                            "%s, or leave them behind: cutover: {accept_left_behind: [sequences]}",
                            cutover_side(cutover, true), cutover_side(cutover, false));
    }
    return true;
}

/* A dry run begins no engine: that would change the target. */
static bool catch_up(struct cutover *cutover, int64_t *ret_ms, struct error *err) {
    const struct config *stream = cutover->stream;
    *ret_ms = -1;
    if (cutover->options.dry_run && state_lock_holder(stream->state, stream->name) == 0)
        return true;
    if (!cutover_engine_begin(&cutover->engine, stream, &cutover->from, &cutover->stop, err))
        return false;
    if (cutover_drain_now(cutover, LAG_MS_MAX, ret_ms, err))
        return true;
    return error_remedy(err, "`pgcdc status` shows the lag; run this command again when it is small");
}

bool cutover_get_ready(struct cutover *cutover, struct error *err) {
    int64_t took_ms = 0;
    if (!catalog_read_tables(&cutover->from, cutover->stream->source.publication_array, &cutover->arena,
                             &cutover->tables, err))
        return false;
    if (cutover->tables.count == 0)
        return error_set(err, ERROR_REFUSE, "publication %s sends no table, so there is nothing to cut over",
                         cutover->stream->source.publication);
    if (!check_copied(cutover, err) || !cutover_check_demands(cutover, err) ||
        !check_sequences(cutover, err) || !catch_up(cutover, &took_ms, err))
        return false;
    if (took_ms < 0)
        cutover_tell(cutover, CUTOVER_READY, "%s; no engine runs, so the lag is not known",
                     amount_count(cutover->tables.count, "table").text);
    else
        cutover_tell(cutover, CUTOVER_READY, "%s, the stream is %lld ms behind",
                     amount_count(cutover->tables.count, "table").text, (long long) took_ms);
    return true;
}
