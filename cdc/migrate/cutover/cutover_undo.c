/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_undo.c - back to the state before the first one.
 *
 * What is undone can be undone again: the rows, which say that there is something, go last. It is not done
 * when an application has written to the other side: those changes would be lost.
 */
#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/migrate/cutover/cutover_parts.h"

static bool was_armed(struct cutover *cutover, bool *ret_armed, struct error *err) {
    struct step step;
    if (!steps_read(&cutover->steps, cutover->step, cutover_state_name(CUTOVER_REVERSE_READY),
                    &cutover->arena, &step, err))
        return false;
    *ret_armed = step.state != STEP_NONE;
    return true;
}

static bool refuse_written(const struct cutover *cutover, struct error *err) {
    error_set(err, ERROR_REFUSE,
              "the %s was written to after it was opened, so going back now would lose these changes",
              cutover_side(cutover, false));
    return error_remedy(err, "run `pgcdc %s` again, which goes on; `pgcdc %s` then brings them back",
                        cutover->options.is_rollback ? "rollback" : "cutover",
                        cutover->options.is_rollback ? "cutover" : "rollback");
}

static bool disarm(struct cutover *cutover, struct error *err) {
    struct step sealed;
    bool written = false;
    if (!steps_read(&cutover->steps, cutover->step, cutover_state_name(CUTOVER_SEALED), &cutover->arena,
                    &sealed, err))
        return false;
    if (sealed.state == STEP_DONE && (!cutover_is_written(cutover, &written, err) || written))
        return written ? refuse_written(cutover, err) : false;
    return cutover_drop_stream(cutover, cutover->back, &cutover->to, err);
}

bool cutover_undo(struct cutover *cutover, struct error *err) {
    bool armed = false;
    session_close(&cutover->fence);
    if (!was_armed(cutover, &armed, err) || (armed && !disarm(cutover, err)))
        return false;
    FAULT_POINT("cutover-disarmed");
    if (!unseal_database(cutover, true, err))
        return false;
    FAULT_POINT("cutover-before-forget");
    return steps_remove(&cutover->steps, cutover->step, err);
}
