/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.c - how a target transaction begins.
 */
#include "sinks/postgres/target/target.h"

#include <assert.h>

bool target_begin(struct target *target, struct pq_pipeline *pipeline, struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    if (target->in_transaction)
        return true;
    target->in_transaction = true;
    target->transaction_count++;
    if (!pq_pipeline_query(pipeline, "begin isolation level read committed", ANY, err) ||
        !position_row_send_lock(&target->row, pipeline, err))
        return false;
    return target->replica_role || pq_pipeline_query(pipeline, "set constraints all deferred", ANY, err);
}

bool target_begin_whole(struct target *target, struct pq_pipeline *pipeline, const struct position *position,
                        struct error *err) {
    assert(!target->in_transaction);
    pipeline->whole = true;
    target->transaction_count++;
    target->whole = *position;
    return position_row_send_store(&target->row, pipeline, position, target->durability.is_early, err);
}
