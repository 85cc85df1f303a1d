/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_close.c - CLOSED: the migration is over, and what only the way back needed goes.
 */
#include "cdc/base/fault.h"
#include "cdc/migrate/cutover/cutover_parts.h"

static bool refuse_place(enum cutover_place place, struct error *err) {
    error_set(err, ERROR_REFUSE, "there is no finished cutover to close%s",
              place == PLACE_FLIPPING       ? ": it has not ended"
              : place == PLACE_ROLLING_BACK ? ": a rollback has begun"
                                            : "");
    return error_remedy(err, "run `pgcdc %s` first", place == PLACE_ROLLING_BACK ? "rollback" : "cutover");
}

static bool close_all(struct cutover *cutover, struct error *err) {
    const struct config *back = cutover->back;
    if (!cutover_engine_end(&cutover->engine, back, err) ||
        !steps_begin(&cutover->steps, CUTOVER_STEP, CLOSED_STATE, NULL, err))
        return false;
    FAULT_POINT("cutover-before-close");
    return cutover_drop_stream(cutover, back, &cutover->to, err) &&
           cutover_drop_stream(cutover, cutover->stream, &cutover->from, err) &&
           steps_done(&cutover->steps, CUTOVER_STEP, CLOSED_STATE, NULL, err);
}

bool cutover_close(const struct config *config, const struct cutover_options *options, struct error *err) {
    struct cutover cutover = {0};
    enum cutover_place place;
    bool done = cutover_open(&cutover, config, options, err) &&
                cutover_place_read(&cutover.steps, &cutover.arena, &place, err) &&
                (place == PLACE_TARGET || place == PLACE_CLOSED || refuse_place(place, err)) &&
                cutover_open_sides(&cutover, options->stop, err) && close_all(&cutover, err);
    cutover_release(&cutover);
    return done;
}
