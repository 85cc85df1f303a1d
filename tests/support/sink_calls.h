/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_calls.h - the calls of a sink that tests make, in few words.
 */
#pragma once

#include "sinks/sink.h"

static const atomic_bool NEVER_STOPPED;

static inline bool sink_write_until(struct sink *sink, const struct change *changes, size_t count,
                                    const struct position *until, struct error *err) {
    const struct sink_span span = {.changes = changes, .count = count, .until = until};
    return sink->ops->write(sink, &span, err);
}

static inline bool sink_write(struct sink *sink, const struct change *changes, size_t count,
                              struct error *err) {
    return sink_write_until(sink, changes, count, NULL, err);
}

/* They are there already, of a transaction that was split. */
static inline bool sink_tell_present(struct sink *sink, const struct change *changes, size_t count,
                                     struct error *err) {
    const struct sink_span span = {.changes = changes, .count = count, .present = count};
    return sink->ops->write(sink, &span, err);
}

/* Visible and durable. */
static inline bool sink_flush(struct sink *sink, const struct position *position, struct error *err) {
    struct position durable = {0};
    if (!sink->ops->commit(sink, position, COMMIT_DURABLE, &durable, err))
        return false;
    return durable.end_lsn == position->end_lsn
               ? true
               : error_set(err, ERROR_SYSTEM, "the commit that was to be durable is not");
}

/* Visible. */
static inline bool sink_commit(struct sink *sink, const struct position *position, bool *ret_durable,
                               struct error *err) {
    struct position durable = {0};
    const bool committed = sink->ops->commit(sink, position, COMMIT_VISIBLE, &durable, err);
    *ret_durable = committed && durable.end_lsn >= position->end_lsn;
    return committed;
}

static inline bool sink_settled(struct sink *sink, struct position *ret_durable, struct error *err) {
    return sink->ops->commit(sink, NULL, COMMIT_ASK, ret_durable, err);
}
