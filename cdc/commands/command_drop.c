/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_drop.c - pgcdc drop: removes the slot, the publication, the sinks' positions and the state files,
 * in this order.
 *
 * The slot is first, because it retains WAL and because run refuses positions without a slot: a drop that was
 * killed halfway is never mistaken for a pipeline, and a second drop finds the rest. At each step it is no
 * error if the object is already gone. The state files are last, and are removed only when nothing else is
 * left.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/archive/follower.h"
#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/engine/activity.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/columns_file.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/pause.h"
#include "cdc/engine/published.h"
#include "cdc/engine/skip.h"
#include "cdc/engine/state_lock.h"
#include "cdc/engine/verified.h"
#include "cdc/migrate/globals/globals.h"
#include "cdc/migrate/steps/steps.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/publication.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"

enum {
    RELEASE_WAIT_MS = 5000, /* for an engine that was just killed: its walsender notices soon */
    RELEASE_STEP_MS = 200,
};

struct drop {
    const struct config *config;
    const atomic_bool *stop;
    struct session source;
};

/* ---- the slot ---- */

/* The session that streams from the slot, for people: "pid 4711, pgcdc from 10.0.0.7". */
static bool refuse_active(struct drop *drop, int pid, struct error *err) {
    static const char SQL[] =
        "select coalesce(nullif(application_name, ''), 'an unnamed client'),"
        " coalesce('from ' || pg_catalog.host(client_addr), 'on the server''s own machine')"
        " from pg_catalog.pg_stat_replication where pid = $1::int";
    char text[16];
    const char *parameters[] = {text};
    PGresult *result AUTO_PGRESULT = NULL;
    snprintf(text, sizeof text, "%d", pid);
    if (!session_query(&drop->source, SQL, 1, parameters,
                       &(const struct result_shape){"the query for the slot's reader", 0, 1, 2, 0}, &result,
                       err))
        return false;
    bool known = PQntuples(result) == 1;
    return error_set(err, ERROR_REFUSE,
                     "slot %s is in use: the server's pid %d sends it to %s %s; stop that engine first",
                     drop->config->source.slot, pid, known ? PQgetvalue(result, 0, 0) : "a client",
                     known ? PQgetvalue(result, 0, 1) : "that is disconnecting");
}

static bool read_released(struct drop *drop, struct slot_facts *ret_slot, struct error *err) {
    int64_t deadline_ms = clock_now_ms() + RELEASE_WAIT_MS;
    for (bool told = false;; told = true) {
        if (!slot_read(&drop->source, drop->config->source.slot, ret_slot, err))
            return false;
        if (ret_slot->active_pid == 0)
            return true;
        if (clock_now_ms() >= deadline_ms)
            return refuse_active(drop, ret_slot->active_pid, err);
        if (atomic_load_explicit(drop->stop, memory_order_relaxed))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (!told)
            log_command(LOG_SLOT_IN_USE, "drop",
                        "slot %s is in use by the server's pid %d; waiting up to %d s for it",
                        drop->config->source.slot, ret_slot->active_pid, RELEASE_WAIT_MS / 1000);
        clock_pause_ms(RELEASE_STEP_MS);
    }
}

/* A slot that pgcdc cannot have created must not be dropped. */
static bool check_ours(struct drop *drop, const struct slot_facts *slot, struct error *err) {
    const char *name = drop->config->source.slot;
    const char *database = PQdb(drop->source.conn);
    if (!slot->is_logical || !slot->is_pgoutput)
        return error_set(
            err, ERROR_REFUSE,
            "slot %s is not a logical slot with plugin pgoutput, so it is not this pipeline's; correct "
            "source.slot",
            name);
    if (strcmp(slot->database, database) != 0)
        return error_set(err, ERROR_REFUSE,
                         "slot %s belongs to database %s, but source.dsn connects to %s; correct source.dsn "
                         "or source.slot",
                         name, slot->database, database);
    return true;
}

static bool drop_slot(struct drop *drop, struct error *err) {
    const char *name = drop->config->source.slot;
    struct slot_facts slot;
    if (!read_released(drop, &slot, err))
        return false;
    if (!slot.exists) {
        printf("slot %s: does not exist\n", name);
        return true;
    }
    if (!check_ours(drop, &slot, err) || !slot_drop(&drop->source, name, err))
        return false;
    FAULT_POINT("drop-slot");
    printf("slot %s: dropped\n", name);
    return true;
}

/* ---- the publication ---- */

static bool read_mark(struct drop *drop, const char *name, bool *ret_exists, bool *ret_ours,
                      struct error *err) {
    static const char SQL[] = "select coalesce(pg_catalog.obj_description(oid, 'pg_publication'), '')"
                              " from pg_catalog.pg_publication where pubname = $1";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&drop->source, SQL, 1, &name,
                       &(const struct result_shape){"the query for the publication", 0, 1, 1, 0}, &result,
                       err))
        return false;
    *ret_exists = PQntuples(result) == 1;
    *ret_ours = *ret_exists && strcmp(PQgetvalue(result, 0, 0), PUBLICATION_MARK) == 0;
    return true;
}

static bool execute_drop(struct drop *drop, const char *name, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_append_text(&sql, "drop publication if exists ");
    identifier_append(&sql, slice_of(name));
    const char *text = buffer_text(&sql);
    if (text == NULL)
        return error_no_memory(err);
    if (!session_execute(&drop->source, text, err))
        return error_wrap(err, "publication %s", name);
    FAULT_POINT("drop-publication");
    return true;
}

static bool drop_publication(struct drop *drop, const char *name, struct error *err) {
    bool exists = false, ours = false;
    if (!read_mark(drop, name, &exists, &ours, err))
        return false;
    const bool is_standby = session_is_standby(&drop->source);
    if (ours && !is_standby && !execute_drop(drop, name, err))
        return false;
    if (ours && is_standby)
        printf("publication %s: kept, because the source is a standby; drop it at the primary\n", name);
    else if (!exists)
        printf("publication %s: does not exist\n", name);
    else if (ours)
        printf("publication %s: dropped\n", name);
    else
        printf("publication %s: kept, because pgcdc did not create it\n", name);
    return true;
}

static bool drop_publications(struct drop *drop, struct error *err) {
    for (size_t i = 0; i < drop->config->source.publication_count; i++)
        if (!drop_publication(drop, drop->config->source.publications[i], err))
            return false;
    return true;
}

/* ---- the sinks ---- */

/* Unknown counts as present. */
static bool has_position(const struct config_sink *config, struct sink *sink) {
    struct error ignored = {0};
    struct sink_view view = {0};
    return sink_admin(config->ops, look) == NULL || !config->ops->admin->look(sink, &view, &ignored) ||
           position_exists(&view.position);
}

/* The rows of a migration: nothing works on it while they are removed. */
static bool remove_steps(const struct drop *drop, const struct config_sink *sink, struct error *err) {
    struct steps steps = {0};
    const bool removed =
        !steps_can(sink) ||
        (steps_open(&steps, drop->config, sink, drop->stop, err) &&
         (!steps.exists || (steps_lock(&steps, "pgcdc drop", err) && steps_remove(&steps, NULL, err))) &&
         globals_forget(drop->config, sink, drop->stop, err));
    steps_close(&steps);
    return removed;
}

static bool drop_sink(const struct drop *drop, const struct config_sink *config, struct error *err) {
    if (sink_admin(config->ops, drop) == NULL) {
        printf("sink %s: stores no position\n", config->sink.name);
        return true;
    }
    struct sink *sink = sink_new(config->ops, &config->sink, drop->stop);
    if (sink == NULL)
        return error_no_memory(err);
    const bool had_position = has_position(config, sink);
    bool dropped = remove_steps(drop, config, err) && config->ops->admin->drop(sink, err);
    sink_free(sink);
    if (!dropped)
        return error_wrap(err, "sink %s", config->sink.name);
    FAULT_POINT("drop-sink");
    printf("sink %s: %s, its data stays%s\n", config->sink.name,
           had_position ? "its position is dropped" : "it had no position",
           config->ops->appends ? ", and a new start publishes every row again after its present records"
                                : "");
    return true;
}

/* Continues after a sink that fails, so that the others need not wait for it; *err is the last failure. */
static bool drop_sinks(const struct drop *drop, const struct config *config, struct error *err) {
    bool dropped = true;
    for (size_t i = 0; i < config->sink_count; i++) {
        if (drop_sink(drop, &config->sinks[i], err))
            continue;
        log_command_failure("drop", err);
        dropped = false;
    }
    return dropped
               ? true
               : error_set(err, err->kind, "not everything is dropped; remove the cause, then run it again");
}

/* ---- the state files ---- */

static bool drop_sink_state(const struct config *config, const char *sink, struct error *err) {
    return skip_remove(config->state, config->name, sink, err) &&
           columns_file_remove(config->state, config->name, sink, err) &&
           verified_remove(config->state, config->name, sink, VERIFIED_BY_COMMAND, err) &&
           verified_remove(config->state, config->name, sink, VERIFIED_CONTINUOUSLY, err);
}

static bool drop_state(const struct config *config, struct error *err) {
    char path[PATH_MAX];
    if (!checkpoint_remove(config->state, config->name, err) ||
        !failure_remove(config->state, config->name, err) ||
        !activity_remove(config->state, config->name, err) ||
        !published_remove(config->state, config->name, err) ||
        !pauses_remove(config->state, config->name, err))
        return false;
    for (size_t i = 0; i < config->sink_count; i++)
        if (!drop_sink_state(config, config->sinks[i].sink.name, err))
            return false;
    FAULT_POINT("drop-state");
    snprintf(path, sizeof path, "%s/%s.lock", config->state, config->name);
    if (unlink(path) != 0 && errno != ENOENT)
        return error_errno(err, "%s", path);
    snprintf(path, sizeof path, "%s/%s.sock.lock", config->state, config->name);
    if (unlink(path) != 0 && errno != ENOENT)
        return error_errno(err, "%s", path);
    printf("state %s: the files of %s are removed\n", config->state, config->name);
    return true;
}

/* The parts of a pipeline with a buffer: the buffer's files, who reads them, and the sinks' state. */
static bool drop_parts(const struct drop *drop, struct error *err) {
    const struct config *config = drop->config;
    if (config->part_count == 0)
        return true;
    if (!drop_sinks(drop, &config->parts[0], err))
        return false;
    for (size_t i = 1; i < config->part_count; i++) {
        const struct config *part = &config->parts[i];
        if (!follower_remove(config->buffer.path, part->source.follower, err) || !drop_state(part, err))
            return false;
        if (rmdir(part->state) != 0 && errno != ENOENT)
            return error_errno(err, "%s", part->state);
    }
    return true;
}

static bool drop_at_source(struct drop *drop, struct error *err) {
    if (drop->config->source.archive != NULL) {
        if (!follower_remove(drop->config->source.archive, drop->config->source.follower, err))
            return false;
        printf("archive %s: it stays, and no longer waits for this pipeline\n", drop->config->source.archive);
        return true;
    }
    if (!source_open(&drop->source, &drop->config->source, drop->stop, err))
        return false;
    bool dropped = drop_slot(drop, err) && drop_publications(drop, err);
    session_close(&drop->source);
    return dropped;
}

/* Before anything goes. A target that is away is reported when its sink is dropped. */
static bool refuse_migrating(const struct drop *drop, struct error *err) {
    bool is_running = false;
    for (size_t i = 0; i < drop->config->sink_count && !is_running; i++) {
        const struct config_sink *sink = &drop->config->sinks[i];
        struct steps steps = {0};
        struct error answer = {0};
        is_running = steps_can(sink) && steps_open(&steps, drop->config, sink, drop->stop, &answer) &&
                     steps.exists && !steps_lock(&steps, "pgcdc drop", &answer) &&
                     answer.kind == ERROR_RUNNING;
        steps_close(&steps);
        if (is_running)
            *err = answer;
    }
    return !is_running;
}

static bool drop_all(struct drop *drop, struct error *err) {
    return refuse_migrating(drop, err) && drop_at_source(drop, err) && drop_sinks(drop, drop->config, err) &&
           drop_parts(drop, err) && drop_state(drop->config, err);
}

static bool refuse_running(struct error *err) {
    err->kind = ERROR_REFUSE;
    return error_wrap(err, "stop it first");
}

/* A state directory that does not exist needs no lock, and locking would create it. */
static bool drop_locked(struct drop *drop, struct error *err) {
    struct state_lock lock = {.fd = -1};
    if (access(drop->config->state, F_OK) == 0 &&
        !state_lock_take(&lock, drop->config->state, drop->config->name, err))
        return err->kind == ERROR_RUNNING ? refuse_running(err) : false;
    bool dropped = drop_all(drop, err);
    state_lock_release(&lock);
    return dropped;
}

static enum exit_code run(const struct command_line *line) {
    struct drop drop = {.config = line->config, .stop = line->stop};
    struct error err = {0};
    if (drop_locked(&drop, &err))
        return EXIT_DONE;
    fflush(stdout);
    log_command_failure("drop", &err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {0},
};

const struct command command_drop = {
    .name = "drop",
    .uses = USES,
    .summary = "remove pgcdc's slot, publication, positions and files; copied rows stay",
    .help = "Removes, in this order: the slot (refused while an engine uses it, exit 3), the publication\n"
            "if pgcdc created it (your own stays), each sink's position, and the files in the state\n"
            "directory. Rows that were copied into a sink stay. A later run starts over: into Postgres\n"
            "it requires empty tables, and into Kafka it publishes every existing row again, after the\n"
            "records already there.\n"
            "\n"
            "It is no error if something is already gone, so run drop again to finish an interrupted\n"
            "one.",
    .many = MANY_EACH,
    .run = run,
};
