/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_back.c - the way back: a stream in the other direction, armed while no application writes.
 *
 * Its slot begins behind every change that the forward stream has applied, so none of them goes back, without
 * any filter by origin. What an earlier try or an earlier direction left is removed first: its slot would
 * have those changes.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/engine/activity.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/published.h"
#include "cdc/engine/verified.h"
#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/publication.h"
#include "cdc/source/slot.h"

enum { RELEASE_MAX_MS = 10000, PAUSE_MS = 20 };

#define SQL_BYTES_MAX ((size_t) 64 << 20)

/* ---- what is left ---- */

bool cutover_drop_slot(struct cutover *cutover, struct session *session, const char *slot,
                       struct error *err) {
    (void) cutover;
    const int64_t until_ms = clock_now_ms() + RELEASE_MAX_MS;
    for (;;) {
        struct slot_facts facts;
        if (!slot_read(session, slot, &facts, err))
            return false;
        if (!facts.exists)
            return true;
        if (facts.active_pid == 0)
            return slot_drop(session, slot, err);
        if (clock_now_ms() >= until_ms)
            return error_set(err, ERROR_RUNNING, "%s: slot %s is read by pid %d", session->peer, slot,
                             facts.active_pid) ||
                   error_remedy(err, "stop that engine, then run this command again");
        clock_pause_ms(PAUSE_MS);
    }
}

static bool drop_position(const struct config *config, struct error *err) {
    const struct config_sink *target = &config->sinks[0];
    struct sink *sink = sink_new(target->ops, &target->sink, NULL);
    if (sink == NULL)
        return error_no_memory(err);
    const bool dropped = target->ops->admin->drop == NULL || target->ops->admin->drop(sink, err);
    sink_free(sink);
    return dropped;
}

static bool drop_files(const struct config *config, struct error *err) {
    if (!checkpoint_remove(config->state, config->name, err) ||
        !failure_remove(config->state, config->name, err) ||
        !activity_remove(config->state, config->name, err) ||
        !published_remove(config->state, config->name, err))
        return false;
    for (size_t i = 0; i < config->sink_count; i++)
        if (!verified_remove(config->state, config->name, config->sinks[i].sink.name, VERIFIED_BY_COMMAND,
                             err) ||
            !verified_remove(config->state, config->name, config->sinks[i].sink.name, VERIFIED_CONTINUOUSLY,
                             err))
            return false;
    return true;
}

static bool drop_publication(const struct config *config, struct session *source, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_append_text(&sql, "drop publication if exists ");
    identifier_append(&sql, slice_of(config->source.publication));
    return buffer_text(&sql) == NULL ? error_no_memory(err) : session_execute(source, sql.data, err);
}

/*
 * The slot first: without it the rest is no stream, and a second call finds the rest. The publication of the
 * file stays: it may be the operator's.
 */
bool cutover_drop_stream(struct cutover *cutover, const struct config *config, struct session *source,
                         struct error *err) {
    if (!cutover_drop_slot(cutover, source, config->source.slot, err))
        return false;
    FAULT_POINT("cutover-slot-dropped");
    return (config->reverse_of == NULL || drop_publication(config, source, err)) &&
           drop_position(config, err) && drop_files(config, err);
}

/* ---- arming ---- */

static bool create_publication(struct cutover *cutover, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    const char *name = cutover->back->source.publication;
    if (cutover->back->reverse_of == NULL)
        return true;
    buffer_append_text(&sql, "create publication ");
    identifier_append(&sql, slice_of(name));
    for (size_t i = 0; i < cutover->tables.count; i++) {
        buffer_append_text(&sql, i == 0 ? " for table only " : ", only ");
        identifier_append_qualified(&sql, slice_of(cutover->tables.tables[i].schema),
                                    slice_of(cutover->tables.tables[i].name));
    }
    buffer_append_text(&sql, " with (publish_via_partition_root = true); comment on publication ");
    identifier_append(&sql, slice_of(name));
    buffer_append_text(&sql, " is '" PUBLICATION_MARK "'");
    return buffer_text(&sql) == NULL ? error_no_memory(err) : session_execute(&cutover->to, sql.data, err);
}

/* Creates the slot and stores its position; ends before it reads a change. */
static bool begin_stream(struct cutover *cutover, struct error *err) {
    const struct pipeline_options options = {
        .until_begun = true, .retry_for_ms = cutover_left_ms(cutover, 10000), .stop = &cutover->stop};
    struct pipeline_result result = {0};
    const bool done = pipeline_run(cutover->back, &options, &result, err);
    pipeline_result_release(&result);
    if (done && !result.reached)
        return error_set(err, ERROR_STOPPED, "stopped");
    return done || error_wrap(err, "the way back");
}

bool cutover_arm_back(struct cutover *cutover, struct error *err) {
    if (!cutover_drop_stream(cutover, cutover->back, &cutover->to, err))
        return false;
    FAULT_POINT("cutover-before-arm");
    if (!create_publication(cutover, err) || !begin_stream(cutover, err))
        return false;
    cutover_tell(cutover, CUTOVER_REVERSE_READY, "slot %s at the %s", cutover->back->source.slot,
                 cutover_side(cutover, false));
    return true;
}

/* ---- was it used? ---- */

bool cutover_is_written(struct cutover *cutover, bool *ret_written, struct error *err) {
    static const char SQL[] =
        "select from pg_replication_slots s, lateral pg_logical_slot_peek_binary_changes(s.slot_name, null,"
        " null, 'proto_version', '1', 'publication_names', $2) c"
        " where s.slot_name = $1 and s.database = current_database()"
        " and get_byte(c.data, 0) in (73, 85, 68, 84) limit 1"; /* I U D T */
    struct buffer name AUTO(buffer_release) = {.bytes_max = 1024};
    PGresult *rows AUTO_PGRESULT = NULL;
    identifier_append(&name, slice_of(cutover->back->source.publication));
    if (buffer_text(&name) == NULL)
        return error_no_memory(err);
    const char *const values[] = {cutover->back->source.slot, name.data};
    if (!session_query(&cutover->to, SQL, 2, values,
                       &(const struct result_shape){"the changes on the way back", 0, 1, 0, 0}, &rows, err))
        return false;
    *ret_written = PQntuples(rows) > 0;
    return true;
}
