/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_dead.c - a change that does not fit is set aside, and later changes of its key wait for it.
 *
 * Only an error about the change's own values sets it aside. One that another change would get, too (the
 * connection, a lock, the disk, a right, a missing table), is not about it, and ends the attempt as before.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/fault.h"
#include "sinks/postgres/apply/apply.h"

/* ---- which errors ---- */

/*
 * 22: a value does not fit its column. 23, 44: a constraint, a view's condition. 54000: a key too large for
 * an index. P0: a trigger raised it.
 */
static bool is_about_values(const char *sqlstate) {
    return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
           strncmp(sqlstate, "44", 2) == 0 || strncmp(sqlstate, "P0", 2) == 0 ||
           strcmp(sqlstate, "54000") == 0;
}

/* A key that is not certain may find the wrong row, or miss it, for all rows of the table. */
static bool lacks_its_row(const struct pq_pipeline_failure *failure) {
    const struct relation *relation = failure->note.change->relation;
    return apply_is_missing(failure) && relation->certainty == KEY_CERTAIN && !relation->is_unclear;
}

bool apply_dead_takes(const struct apply *apply, const struct pq_pipeline_failure *failure,
                      const struct error *err) {
    const struct change *change = failure->note.change;
    if (apply->dead == NULL || err->kind != ERROR_DATA || failure->note.is_position || change == NULL ||
        failure->note.table == NULL || !change_is_row(change) || change->relation->mode != ROWS_MERGED)
        return false;
    return failure->is_count ? lacks_its_row(failure) : is_about_values(err->sqlstate);
}

/* ---- a letter ---- */

/* The remedies of a stop end so; here the pipeline goes on. */
static void end_remedy(struct error *failure) {
    static const char START[] = "; then start again";
    const size_t size = strlen(failure->remedy), end = sizeof START - 1;
    if (size > end && strcmp(failure->remedy + size - end, START) == 0)
        snprintf(failure->remedy + size - end, sizeof failure->remedy - (size - end),
                 "; then `pgcdc dead retry`");
}

static bool send_letter(struct apply *apply, const struct change *change, const struct error *failure,
                        struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    return pq_pipeline_begin(pipeline, err) && target_begin(apply->target, pipeline, err) &&
           dead_letters_send(apply->dead, pipeline, change, failure, err) &&
           pq_pipeline_finish(pipeline, err);
}

bool apply_set_aside(struct apply *apply, const struct pq_pipeline_failure *failure, struct error *err) {
    struct error reason = *err, told = *err;
    explain_pipeline(apply->target, failure, &told);
    memcpy(reason.remedy, told.remedy, sizeof reason.remedy);
    end_remedy(&reason);
    if (apply->dead->retry != NULL)
        return dead_letters_stay(apply->dead, failure->note.change, &reason, err);
    if (!send_letter(apply, failure->note.change, &reason, err))
        return err->kind == ERROR_DATA ? explain_pipeline(apply->target, failure, err) : false;
    buffer_printf(&apply->target->sink.news, "dead letter: %s (`pgcdc dead list`)\n", told.text);
    FAULT_POINT("dead-set-aside");
    return true;
}

/* ---- what waits, and what flows ---- */

static bool waits(struct apply *apply, const struct change *change, bool *ret_waits, struct error *err) {
    *ret_waits = false;
    return !change_is_row(change) || dead_letters_have(apply->dead, change, ret_waits, err);
}

static bool let_wait(struct apply *apply, const struct change *change, struct error *err) {
    if (apply->dead->retry != NULL)
        return dead_letters_stay(apply->dead, change, NULL, err);
    return send_letter(apply, change, NULL, err);
}

bool apply_dead_find(struct apply *apply, const struct span *span, size_t first, size_t most,
                     size_t *ret_count, struct error *err) {
    const size_t left = span->count - first;
    bool is_waiting = false;
    *ret_count = most < left ? most : left;
    if (apply->dead == NULL || !dead_letters_exist(apply->dead))
        return true;
    for (size_t i = first, end = first + *ret_count; i < end; i++) {
        if (!waits(apply, &span->changes[i], &is_waiting, err))
            return false;
        const bool ends = span->changes[i].kind == CHANGE_TRUNCATE;
        if (!is_waiting && !ends)
            continue;
        *ret_count = i - first + ends;
        return *ret_count > 0 || let_wait(apply, &span->changes[i], err);
    }
    return true;
}

static bool forget_emptied(struct apply *apply, const struct change *change, struct error *err) {
    for (uint32_t i = 0; i < change->relation_count; i++) {
        const struct relation *relation = change->relations[i];
        uint64_t count = 0;
        if (!dead_letters_forget(apply->dead, relation, &count, err))
            return false;
        if (count > 0)
            buffer_printf(&apply->target->sink.news, "table %s.%s was emptied: %s removed\n",
                          relation->schema.data, relation->name.data,
                          amount_count(count, "dead letter").text);
    }
    return true;
}

bool apply_dead_end(struct apply *apply, const struct span *span, struct error *err) {
    const struct change *last = &span->changes[span->count - 1];
    return apply->dead == NULL || last->kind != CHANGE_TRUNCATE || !dead_letters_exist(apply->dead) ||
           forget_emptied(apply, last, err);
}

/* ---- a span ---- */

/* The lock of the position's row first: no command settles letters from here to the commit. */
static bool begin_beside(struct apply *apply, struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    if (!pq_pipeline_begin(pipeline, err))
        return false;
    if (!target_begin(apply->target, pipeline, err) || !pq_pipeline_finish(pipeline, err))
        return explain_pipeline(apply->target, &pipeline->failure, err);
    return dead_letters_check(apply->dead, err);
}

static bool make_flowing_room(struct apply *apply, size_t count, struct error *err) {
    if (count <= apply->flowing_capacity)
        return true;
    struct change *flowing = reallocarray(apply->flowing, count, sizeof *flowing);
    if (flowing == NULL)
        return error_no_memory(err);
    apply->flowing = flowing;
    apply->flowing_capacity = count;
    return true;
}

/*
 * Puts what waits among the letters, and the rest into apply->flowing, up to a TRUNCATE: after it, other
 * changes wait. *ret_taken: how many changes both are.
 */
static bool split_flowing(struct apply *apply, const struct change *changes, size_t count, size_t *ret_taken,
                          size_t *ret_flowing, struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    bool is_waiting = false;
    *ret_flowing = 0;
    if (!pq_pipeline_begin(pipeline, err))
        return false;
    for (*ret_taken = 0; *ret_taken < count;) {
        const struct change *change = &changes[(*ret_taken)++];
        if (!waits(apply, change, &is_waiting, err) ||
            (is_waiting && !dead_letters_send(apply->dead, pipeline, change, NULL, err)))
            return false;
        if (!is_waiting)
            apply->flowing[(*ret_flowing)++] = *change;
        if (change->kind == CHANGE_TRUNCATE)
            break;
    }
    return pq_pipeline_finish(pipeline, err);
}

bool apply_beside_dead(struct apply *apply, const struct change *changes, size_t count, struct error *err) {
    assert(apply->dead->retry == NULL);
    size_t taken = 0, flowing = 0;
    if (!begin_beside(apply, err) || !make_flowing_room(apply, count, err))
        return false;
    for (size_t first = 0; first < count; first += taken)
        if (!split_flowing(apply, changes + first, count - first, &taken, &flowing, err) ||
            !apply_flowing(apply, apply->flowing, flowing, err))
            return false;
    return true;
}
