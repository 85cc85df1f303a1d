/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_flip.c - FLIPPED: the other side takes writes, the hook points the applications to it, and the
 * stream that brought everything there ends.
 *
 * A process that was killed here is gone on with by the next call, from the start of this state: so the hook
 * may run twice. The slot of the stream goes, because from now on it would keep what the way back brings.
 */
#include <stdio.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/migrate/cutover/cutover_parts.h"

enum { HOOK_MS_MAX = 600000 };

/* The row without a state is that of the report. */
static bool store_outage(struct cutover *cutover, struct error *err) {
    char detail[96];
    cutover->report->outage_ms = cutover->fenced_ms != 0 ? clock_now_ms() - cutover->fenced_ms : -1;
    if (cutover->report->outage_ms < 0)
        return true;
    snprintf(detail, sizeof detail, "{\"direction\": \"%s\", \"outage_ms\": %lld}", cutover->step,
             (long long) cutover->report->outage_ms);
    return steps_begin(&cutover->steps, OUTAGE_STEP, "", detail, err) &&
           steps_done(&cutover->steps, OUTAGE_STEP, "", detail, err) &&
           steps_begin(&cutover->steps, cutover->step, "", detail, err) &&
           steps_done(&cutover->steps, cutover->step, "", NULL, err);
}

/* The rows of the cutover go before the rollback is done: see cutover_place.c. */
static bool note_flip(struct cutover *cutover, struct error *err) {
    if (cutover->options.is_rollback && !steps_remove(&cutover->steps, CUTOVER_STEP, err))
        return false;
    FAULT_POINT("cutover-before-flipped");
    return steps_done(&cutover->steps, cutover->step, cutover_state_name(CUTOVER_FLIPPED), NULL, err);
}

bool cutover_flip(struct cutover *cutover, struct error *err) {
    if (!unseal_database(cutover, false, err))
        return false;
    FAULT_POINT("cutover-before-hook");
    if (!cutover_run_hook(cutover, cutover_left_ms(cutover, HOOK_MS_MAX), err))
        return false;
    cutover->report->is_flipped = true;
    FAULT_POINT("cutover-hooked");
    atomic_store(&cutover->deadline_ms, 0);
    session_close(&cutover->fence);
    if (!store_outage(cutover, err) || !cutover_engine_end(&cutover->engine, cutover->stream, err) ||
        !cutover_drop_slot(cutover, &cutover->from, cutover->stream->source.slot, err) ||
        !note_flip(cutover, err))
        return false;
    cutover_tell(cutover, CUTOVER_FLIPPED, "applications write to the %s", cutover_side(cutover, false));
    return true;
}
