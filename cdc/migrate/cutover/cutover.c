/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover.c - goes through the states, each of which is written down before and after it; goes back when one
 * fails.
 */
#include "cdc/migrate/cutover/cutover.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/source/source.h"

enum { WATCH_STEP_MS = 20 };

#define BLOCK_BYTES ((size_t) 64 * 1024)
#define ARENA_BYTES_MAX ((size_t) 1 << 30)

void cutover_tell(struct cutover *cutover, enum cutover_state state, const char *format, ...) {
    struct cutover_line *line = &cutover->report->lines[state];
    va_list values;
    va_start(values, format);
    vsnprintf(line->text, sizeof line->text, format, values);
    va_end(values);
}

int cutover_left_ms(const struct cutover *cutover, int most_ms) {
    const int64_t deadline_ms = atomic_load(&cutover->deadline_ms);
    const int64_t left_ms = deadline_ms == 0 ? most_ms : deadline_ms - clock_now_ms();
    return left_ms < 1 ? 1 : left_ms < most_ms ? (int) left_ms : most_ms;
}

/* ---- opening ---- */

/* Of a rollback the way back is the file's stream, which has nothing to copy then. */
static bool open_configs(struct cutover *cutover, struct error *err) {
    const bool is_rollback = cutover->options.is_rollback;
    const struct config_sink *target = NULL;
    if (!config_find_target(cutover->config, &target, err) ||
        !config_read_again(cutover->config, &cutover->reversed, err) ||
        !config_reverse(cutover->reversed, err) || !config_read_again(cutover->config, &cutover->kept, err))
        return false;
    cutover->kept->source.snapshot = SNAPSHOT_NEVER;
    cutover->stream = is_rollback ? cutover->reversed : cutover->config;
    cutover->back = is_rollback ? cutover->kept : cutover->reversed;
    cutover->sink = is_rollback ? &cutover->reversed->sinks[0] : target;
    cutover->step = is_rollback ? ROLLBACK_STEP : CUTOVER_STEP;
    return true;
}

/* The rows are in the target of the file, also in a rollback. */
static bool open_steps(struct cutover *cutover, const atomic_bool *stop, struct error *err) {
    const struct config_sink *target = NULL;
    return config_find_target(cutover->config, &target, err) &&
           steps_open(&cutover->steps, cutover->config, target, stop, err) &&
           (cutover->options.dry_run ||
            steps_lock(&cutover->steps, cutover->options.is_rollback ? "pgcdc rollback" : "pgcdc cutover",
                       err));
}

bool cutover_open(struct cutover *cutover, const struct config *config, const struct cutover_options *options,
                  struct error *err) {
    cutover->config = config;
    cutover->options = *options;
    arena_init(&cutover->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    return open_configs(cutover, err) && open_steps(cutover, options->stop, err);
}

bool cutover_open_sides(struct cutover *cutover, const atomic_bool *stop, struct error *err) {
    struct session_options options = {0};
    cutover->sink->ops->admin->target(&cutover->sink->sink, &options);
    options.stop = stop;
    options.peer = cutover_side(cutover, false);
    if (!source_open(&cutover->from, &cutover->stream->source, stop, err) ||
        !session_open(&cutover->to, &options, err))
        return false;
    cutover->from.peer = cutover_side(cutover, true);
    return true;
}

static void close_sessions(struct cutover *cutover) {
    session_close(&cutover->fence);
    session_close(&cutover->from);
    session_close(&cutover->to);
    steps_close(&cutover->steps);
}

void cutover_release(struct cutover *cutover) {
    cutover_engine_release(&cutover->engine);
    close_sessions(cutover);
    config_free(cutover->reversed);
    config_free(cutover->kept);
    arena_release(&cutover->arena);
}

/* ---- the time ---- */

static void *watch_main(void *argument) {
    struct cutover *cutover = argument;
    while (!atomic_load(&cutover->watch_ends)) {
        const int64_t deadline_ms = atomic_load(&cutover->deadline_ms);
        if (atomic_load(cutover->options.stop) || (deadline_ms != 0 && clock_now_ms() > deadline_ms))
            atomic_store(&cutover->stop, true);
        clock_pause_ms(WATCH_STEP_MS);
    }
    return NULL;
}

static bool watch_begin(struct cutover *cutover, struct error *err) {
    const int failure = pthread_create(&cutover->watch, NULL, watch_main, cutover);
    cutover->is_watched = failure == 0;
    return failure == 0 || error_set(err, ERROR_SYSTEM, "a thread for the time: %s", strerror(failure));
}

static void watch_end(struct cutover *cutover) {
    atomic_store(&cutover->watch_ends, true);
    if (cutover->is_watched)
        pthread_join(cutover->watch, NULL);
    cutover->is_watched = false;
}

/* Every wait ends with ERROR_STOPPED then; this says why. */
static void explain_time(const struct cutover *cutover, enum cutover_state state, struct error *err) {
    const int64_t deadline_ms = atomic_load(&cutover->deadline_ms);
    if (err->kind == ERROR_STOPPED && atomic_load(cutover->options.stop))
        error_set(err, ERROR_RETRY, "stopped before the state %s", cutover_state_name(state));
    else if (err->kind == ERROR_STOPPED && deadline_ms != 0 && clock_now_ms() > deadline_ms) {
        error_set(err, ERROR_RETRY,
                  "writes would have been blocked for longer than cutover.outage_max, in the "
                  "state before %s",
                  cutover_state_name(state));
        error_remedy(err, "`--dry-run` measures each state; raise cutover.outage_max, or set cutover.verify "
                          "to none after a `pgcdc verify`");
    }
}

/* ---- the states ---- */

static const struct {
    bool (*reach)(struct cutover *cutover, struct error *err);
    const char *begun, *done; /* fault points */
} STATES[] = {
    [CUTOVER_READY] = {cutover_get_ready, "cutover-ready", "cutover-ready-done"},
    [CUTOVER_FENCED] = {cutover_fence, "cutover-fenced", "cutover-fenced-done"},
    [CUTOVER_DRAINED] = {cutover_drain, "cutover-drained", "cutover-drained-done"},
    [CUTOVER_SEQUENCES] = {cutover_set_sequences, "cutover-sequences", "cutover-sequences-done"},
    [CUTOVER_VERIFIED] = {cutover_verify, "cutover-verified", "cutover-verified-done"},
    [CUTOVER_REVERSE_READY] = {cutover_arm_back, "cutover-armed", "cutover-armed-done"},
    [CUTOVER_SEALED] = {cutover_seal, "cutover-sealed", "cutover-sealed-done"},
    [CUTOVER_FLIPPED] = {cutover_flip, "cutover-flipped", "cutover-flipped-done"},
};

static bool write_done(struct cutover *cutover, enum cutover_state state, int64_t took_ms,
                       struct error *err) {
    char detail[64];
    if (state == CUTOVER_FLIPPED)
        return true; /* by the state itself */
    snprintf(detail, sizeof detail, "{\"ms\": %lld}", (long long) took_ms);
    return steps_done(&cutover->steps, cutover->step, cutover_state_name(state), detail, err);
}

static bool reach_state(struct cutover *cutover, enum cutover_state state, struct error *err) {
    struct cutover_line *line = &cutover->report->lines[state];
    const int64_t began_ms = clock_now_ms();
    const bool writes = !cutover->options.dry_run;
    if (writes && !steps_begin(&cutover->steps, cutover->step, cutover_state_name(state), NULL, err))
        return false;
    FAULT_POINT(STATES[state].begun);
    if (!STATES[state].reach(cutover, err))
        return false;
    line->duration_ms = clock_now_ms() - began_ms;
    if (writes && !write_done(cutover, state, line->duration_ms, err))
        return false;
    line->is_reached = true;
    log_line(LOG_CUTOVER_STEP, "%s: %s, in %lld ms: %s", cutover->step, cutover_state_name(state),
             (long long) line->duration_ms, line->text);
    FAULT_POINT(STATES[state].done);
    return true;
}

static bool reach_all(struct cutover *cutover, enum cutover_state first, struct error *err) {
    for (int state = (int) first; state < CUTOVER_STATES; state++)
        if (!reach_state(cutover, (enum cutover_state) state, err)) {
            explain_time(cutover, (enum cutover_state) state, err);
            return false;
        }
    return true;
}

/* ---- going back ---- */

/* In sessions of its own: those of the states end with the time. */
static bool go_back(struct cutover *cutover, struct error *err) {
    close_sessions(cutover);
    return open_steps(cutover, NULL, err) && cutover_open_sides(cutover, NULL, err) &&
           cutover_undo(cutover, err);
}

static void go_back_after(struct cutover *cutover, struct error *err) {
    struct error failure = {0};
    if (go_back(cutover, &failure)) {
        log_line(LOG_CUTOVER_UNDONE, "%s: gone back; the %s takes writes as before", cutover->step,
                 cutover_side(cutover, true));
        return;
    }
    log_about(LOG_CUTOVER_STUCK, &(struct log_subject){.error = &failure},
              "%s: it was not possible to go back: %s", cutover->step, failure.text);
    error_remedy(err, "%s",
                 failure.remedy[0] != '\0' ? failure.remedy
                                           : "run the command with --abort when both servers can be reached");
}

static bool has_rows(struct cutover *cutover, const char *step, bool *ret_has, struct error *err) {
    struct step_list list;
    if (!steps_list(&cutover->steps, step, &cutover->arena, &list, err))
        return false;
    *ret_has = list.count > 0;
    return true;
}

/* What a former call has left, or a former move in the other direction. */
static bool forget_former(struct cutover *cutover, struct error *err) {
    bool has = false;
    if (!has_rows(cutover, cutover->step, &has, err))
        return false;
    if (has)
        log_line(LOG_CUTOVER_FOUND, "%s: an earlier one did not end; it is undone first", cutover->step);
    if (has && !cutover_undo(cutover, err))
        return false;
    return cutover->options.is_rollback || steps_remove(&cutover->steps, ROLLBACK_STEP, err);
}

/* ---- the whole ---- */

static bool refuse_place(const struct cutover *cutover, enum cutover_place place, struct error *err) {
    switch (place) {
    case PLACE_SOURCE:
        error_set(err, ERROR_REFUSE, "there is no cutover to roll back");
        return error_remedy(err, "`pgcdc cutover --abort` undoes one that did not end");
    case PLACE_FLIPPING:
        error_set(err, ERROR_REFUSE, "the cutover has not ended");
        return error_remedy(err, "run `pgcdc cutover` again, or `pgcdc cutover --abort`");
    case PLACE_TARGET:
        error_set(err, ERROR_REFUSE, "the applications are at the target already");
        return error_remedy(err, "`pgcdc rollback` moves them back; `pgcdc cutover --close` gives that up");
    case PLACE_ROLLING_BACK:
        error_set(err, ERROR_REFUSE, "a rollback has begun");
        return error_remedy(err, "run `pgcdc rollback` again, which goes on");
    case PLACE_CLOSED:
        error_set(err, ERROR_REFUSE, "the migration is closed, so there is no %s any more", cutover->step);
        return error_remedy(err, "begin another pipeline, in either direction");
    }
    return false;
}

static bool find_first(struct cutover *cutover, enum cutover_state *ret_first, struct error *err) {
    const bool is_rollback = cutover->options.is_rollback;
    enum cutover_place place;
    if (!cutover_place_read(&cutover->steps, &cutover->arena, &place, err))
        return false;
    *ret_first =
        place == (is_rollback ? PLACE_ROLLING_BACK : PLACE_FLIPPING) ? CUTOVER_FLIPPED : CUTOVER_READY;
    return *ret_first == CUTOVER_FLIPPED || place == (is_rollback ? PLACE_TARGET : PLACE_SOURCE) ||
           refuse_place(cutover, place, err);
}

/* The states that only look; the others say what they would do. */
static bool rehearse(struct cutover *cutover, struct error *err) {
    if (!reach_state(cutover, CUTOVER_READY, err) || !reach_state(cutover, CUTOVER_SEQUENCES, err))
        return false;
    if (cutover->engine.config == NULL)
        cutover_tell(cutover, CUTOVER_VERIFIED, "not compared now, because no engine runs");
    else if (!reach_state(cutover, CUTOVER_VERIFIED, err))
        return false;
    static const char *const FENCES[] = {[FENCE_LOCKS] = "would lock the tables against writes",
                                         [FENCE_READ_ONLY] = "would make the database read-only, and end its "
                                                             "sessions",
                                         [FENCE_EXTERNAL] = "would ask for --fenced"};
    cutover_tell(cutover, CUTOVER_FENCED, "%s", FENCES[cutover->config->cutover.fence]);
    cutover_tell(cutover, CUTOVER_DRAINED, "would wait for the rest of the stream");
    cutover_tell(cutover, CUTOVER_REVERSE_READY, "would create slot %s at the %s", cutover->back->source.slot,
                 cutover_side(cutover, false));
    cutover_tell(cutover, CUTOVER_SEALED, "would make the %s read-only", cutover_side(cutover, true));
    cutover_tell(cutover, CUTOVER_FLIPPED, "would %s",
                 cutover->config->cutover.on_flip != NULL ? "run cutover.on_flip"
                                                          : "run no command: cutover.on_flip is not set");
    return true;
}

static bool run_states(struct cutover *cutover, struct error *err) {
    enum cutover_state first;
    if (!find_first(cutover, &first, err) || !cutover_open_sides(cutover, &cutover->stop, err))
        return false;
    if (cutover->options.dry_run)
        return rehearse(cutover, err);
    if (first == CUTOVER_READY && !forget_former(cutover, err))
        return false;
    atomic_store(&cutover->deadline_ms,
                 first == CUTOVER_FLIPPED ? clock_now_ms() + cutover->config->cutover.outage_ms_max : 0);
    if (reach_all(cutover, first, err))
        return true;
    if (cutover->report->is_flipped)
        error_remedy(err, "run `pgcdc %s` again, which goes on", cutover->step);
    else
        go_back_after(cutover, err);
    return false;
}

bool cutover_run(const struct config *config, const struct cutover_options *options,
                 struct cutover_report *ret_report, struct error *err) {
    struct cutover cutover = {.options = *options, .report = ret_report};
    *ret_report = (struct cutover_report){.outage_ms = -1};
    const bool done = cutover_open(&cutover, config, options, err) && watch_begin(&cutover, err) &&
                      run_states(&cutover, err);
    cutover_release(&cutover);
    watch_end(&cutover);
    return done;
}

bool cutover_abort(const struct config *config, const struct cutover_options *options, bool *ret_undone,
                   struct error *err) {
    struct cutover_report report = {0};
    struct cutover cutover = {.report = &report};
    enum cutover_place place;
    bool done = cutover_open(&cutover, config, options, err) &&
                cutover_place_read(&cutover.steps, &cutover.arena, &place, err) &&
                has_rows(&cutover, cutover.step, ret_undone, err);
    const bool is_over = done && (options->is_rollback ? place == PLACE_SOURCE
                                                       : place != PLACE_SOURCE && place != PLACE_FLIPPING);
    if (is_over && *ret_undone)
        done = refuse_place(&cutover, place == PLACE_SOURCE ? PLACE_SOURCE : place, err);
    else if (done && *ret_undone)
        done = cutover_open_sides(&cutover, options->stop, err) && cutover_undo(&cutover, err);
    cutover_release(&cutover);
    return done;
}
