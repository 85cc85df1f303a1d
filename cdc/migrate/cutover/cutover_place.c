/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_place.c - a rollback that has flipped removes the rows of the cutover before it says so.
 */
#include "cdc/migrate/cutover/cutover_place.h"

const char *cutover_state_name(enum cutover_state state) {
    static const char *const NAMES[] = {
        [CUTOVER_READY] = "ready",       [CUTOVER_FENCED] = "fenced",
        [CUTOVER_DRAINED] = "drained",   [CUTOVER_SEQUENCES] = "sequences",
        [CUTOVER_VERIFIED] = "verified", [CUTOVER_REVERSE_READY] = "reverse_ready",
        [CUTOVER_SEALED] = "sealed",     [CUTOVER_FLIPPED] = "flipped",
    };
    return NAMES[state];
}

static bool place_is_done(struct steps *steps, const char *name, const char *object, struct arena *arena,
                          bool *ret_done, struct error *err) {
    struct step step;
    if (!steps_read(steps, name, object, arena, &step, err))
        return false;
    *ret_done = step.state == STEP_DONE;
    return true;
}

bool cutover_place_read(struct steps *steps, struct arena *arena, enum cutover_place *ret_place,
                        struct error *err) {
    const char *const sealed = cutover_state_name(CUTOVER_SEALED);
    const char *const flipped = cutover_state_name(CUTOVER_FLIPPED);
    bool there_sealed = false, there_flipped = false, back_sealed = false, back_flipped = false,
         closed = false;
    if (!place_is_done(steps, CUTOVER_STEP, sealed, arena, &there_sealed, err) ||
        !place_is_done(steps, CUTOVER_STEP, flipped, arena, &there_flipped, err) ||
        !place_is_done(steps, CUTOVER_STEP, CLOSED_STATE, arena, &closed, err) ||
        !place_is_done(steps, ROLLBACK_STEP, sealed, arena, &back_sealed, err) ||
        !place_is_done(steps, ROLLBACK_STEP, flipped, arena, &back_flipped, err))
        return false;
    if (back_sealed && !back_flipped)
        *ret_place = PLACE_ROLLING_BACK;
    else if (there_flipped)
        *ret_place = closed ? PLACE_CLOSED : PLACE_TARGET;
    else
        *ret_place = there_sealed ? PLACE_FLIPPING : PLACE_SOURCE;
    return true;
}
