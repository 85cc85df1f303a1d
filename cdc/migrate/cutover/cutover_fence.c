/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_fence.c - from here on no change can be committed to the stream's tables.
 *
 * EXCLUSIVE lets readers pass and waits for each writer that has begun. A try waits for a table only a
 * moment, so that those who queue for it do not wait longer; then all locks are given back. Writers that take
 * tables in another order than we do would wait for us while we wait for them; so the table that could not be
 * had is the first one of the next try.
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/lock_wait.h"
#include "cdc/source/source.h"

enum {
    TRY_MAX_MS = 30000,
    SHORT_TRIES =
        10, /* each ends before deadlock_timeout, so no writer is the victim of a deadlock with us */
    SHORT_PAUSE_MS = 50,
    PAUSE_MS = 500,
};

#define SHORT_SETTING "set lock_timeout = '250ms'"
/* Longer than deadlock_timeout, after which autovacuum gives way. */
#define LONG_SETTING "set lock_timeout = '1200ms'"

static bool lock_table(struct session *session, const struct table *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_append_text(&sql, "lock table ");
    identifier_append_qualified(&sql, slice_of(table->schema), slice_of(table->name));
    buffer_append_text(&sql, " in exclusive mode");
    return buffer_text(&sql) == NULL ? error_no_memory(err) : session_execute(session, sql.data, err);
}

/* Names those who hold the table. */
static bool explain_lock(struct cutover *cutover, const struct table *table, struct error *err) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 1024};
    identifier_append_qualified(&name, slice_of(table->schema), slice_of(table->name));
    error_wrap(err, "%s: table %s.%s cannot be locked", cutover->from.peer, table->schema, table->name);
    return buffer_text(&name) != NULL ? lock_wait_explain_table(&cutover->fence, name.data, err) : false;
}

/* *ret_place: of the table in order that could not be had. */
static bool lock_in_order(struct cutover *cutover, const struct table **order, size_t *ret_place,
                          struct error *err) {
    for (size_t i = 0; i < cutover->tables.count; i++)
        if (!lock_table(&cutover->fence, order[i], err)) {
            *ret_place = i;
            return explain_lock(cutover, order[i], err);
        }
    return true;
}

static void move_to_front(const struct table **order, size_t place) {
    const struct table *table = order[place];
    memmove(order + 1, order, place * sizeof *order);
    order[0] = table;
}

static bool try_locks(struct cutover *cutover, const struct table **order, struct error *err) {
    size_t place = 0;
    struct error ignored = {0};
    if (!session_execute(&cutover->fence, "begin isolation level read committed", err))
        return false;
    cutover->fenced_ms = clock_now_ms();
    if (lock_in_order(cutover, order, &place, err))
        return true;
    cutover->fenced_ms = 0;
    move_to_front(order, place);
    if (!session_execute(&cutover->fence, "rollback", &ignored))
        session_close(&cutover->fence);
    return false;
}

static bool try_until_locked(struct cutover *cutover, const struct table **order, struct error *err) {
    const int64_t most_ms = cutover->config->cutover.outage_ms_max;
    const int64_t until_ms = clock_now_ms() + (most_ms < TRY_MAX_MS ? most_ms : TRY_MAX_MS);
    for (int tries = 1;; tries++) {
        struct error error = {0};
        const bool is_short = tries <= SHORT_TRIES;
        if (!session_execute(&cutover->fence, is_short ? SHORT_SETTING : LONG_SETTING, err))
            return false;
        if (try_locks(cutover, order, &error))
            return true;
        const bool is_passing = strcmp(error.sqlstate, "55P03") == 0 || strcmp(error.sqlstate, "40P01") == 0;
        if (!is_passing || clock_now_ms() >= until_ms || cutover->fence.conn == NULL) {
            *err = error;
            return error_remedy(err, "end the transactions that hold it, or run this command again later");
        }
        if (!is_short)
            log_line(LOG_CUTOVER_WAITS, "%s; trying again", error.text);
        clock_pause_ms(is_short ? SHORT_PAUSE_MS : PAUSE_MS);
    }
}

static bool take_locks(struct cutover *cutover, struct error *err) {
    const struct table **order = arena_alloc(&cutover->arena, (cutover->tables.count + 1) * sizeof *order);
    if (order == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < cutover->tables.count; i++)
        order[i] = &cutover->tables.tables[i];
    return source_open(&cutover->fence, &cutover->stream->source, &cutover->stop, err) &&
           session_notice_our_end(&cutover->fence, err) && try_until_locked(cutover, order, err);
}

/* From here on the time is limited. Tries that get no locks block for a moment only, and do not count. */
static void begin_outage(struct cutover *cutover) {
    const int64_t now_ms = clock_now_ms();
    cutover->fenced_ms = cutover->fenced_ms != 0 ? cutover->fenced_ms : now_ms;
    atomic_store(&cutover->deadline_ms, now_ms + cutover->config->cutover.outage_ms_max);
}

static bool fence_external(struct cutover *cutover, struct error *err) {
    if (!cutover->options.is_fenced) {
        error_set(err, ERROR_CONFIG, "cutover.fence is external, and it was not said that %s takes no writes",
                  cutover_side(cutover, true));
        return error_remedy(err, "stop the applications, or take their rights, then add --fenced");
    }
    begin_outage(cutover);
    cutover_tell(cutover, CUTOVER_FENCED, "by the operator");
    return true;
}

static bool fence_read_only(struct cutover *cutover, struct error *err) {
    begin_outage(cutover);
    if (!seal_database(cutover, true, err))
        return false;
    cutover_tell(cutover, CUTOVER_FENCED, "the database is read-only");
    return true;
}

static bool fence_locks(struct cutover *cutover, struct error *err) {
    if (!take_locks(cutover, err))
        return false;
    begin_outage(cutover);
    cutover_tell(cutover, CUTOVER_FENCED, "%s locked", amount_count(cutover->tables.count, "table").text);
    return true;
}

bool cutover_fence(struct cutover *cutover, struct error *err) {
    switch (cutover->config->cutover.fence) {
    case FENCE_EXTERNAL:
        return fence_external(cutover, err);
    case FENCE_READ_ONLY:
        return fence_read_only(cutover, err);
    case FENCE_LOCKS:
        break;
    }
    return fence_locks(cutover, err);
}
