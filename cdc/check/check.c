/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - runs the checks in order, each independent of the others.
 */
#include "cdc/check/check.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/lock_wait.h"

#define NAME_BYTES_MAX 1024

/* A check, and which server it queries; checks of the source are left out if it cannot be reached. */
struct check_step {
    const char *where;
    bool needs_source;
    check_fn *run;
};

static const struct check_step STEPS[] = {
    {"configuration", false, check_config_file},
    {"configuration", false, check_password_files},
    {"source", false, check_source_connection},
    {"source", true, check_source_settings},
    {"source", true, check_standby},
    {"source", true, check_failover},
    {"source", true, check_triggers},
    {"source", true, check_replication_connection},
    {"state", false, check_state},
    {"source", true, check_start},
    {"source", true, check_slot_creation},
    {"source", true, check_publication},
    {"source", true, check_tables},
    {"source", true, check_old_rows},
};

const char *check_name(struct check *check, const char *schema, const char *name) {
    return identifier_printable(schema, name, &check->arena);
}

static bool is_stopped(const struct check *check) {
    return atomic_load_explicit(check->stop, memory_order_relaxed);
}

/* Our memory or libpq's, so the server is not at fault. */
static bool is_about_memory(const struct error *error) {
    return error->sqlstate[0] == '\0' && strstr(error->text, "out of memory") != NULL;
}

static void add_undone(struct check *check, struct error *error) {
    if (check->source.conn != NULL)
        lock_wait_explain(&check->source, error);
    const bool lacks_memory = is_about_memory(error);
    findings_add(&check->findings, lacks_memory ? SEVERITY_PROBLEM : SEVERITY_WARNING, "unchecked",
                 "a part could not be checked: %s", error_line(error).text);
    if (lacks_memory)
        findings_fix(&check->findings, "give this machine more memory, and check again");
}

/* A person waits for the answer: a locked table is left out, and the report says so. */
static bool limit_lock_waits(struct check *check, struct error *err) {
    return check->source.conn == NULL || session_execute(&check->source, "set lock_timeout = '1s'", err);
}

static void run_step(struct check *check, const struct check_step *step) {
    struct error err = {0};
    if (is_stopped(check) || (step->needs_source && check->source.conn == NULL))
        return;
    check->findings.where = step->where;
    if (!limit_lock_waits(check, &err) || !step->run(check, &err))
        add_undone(check, &err);
}

static const char *sink_place(struct check *check, const char *name) {
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, NAME_BYTES_MAX);
    buffer_printf(&text, "sink %s", name);
    const char *copy = buffer_ok(&text) ? arena_copy(&check->arena, buffer_slice(&text)) : NULL;
    return copy != NULL ? copy : "sink";
}

static void run_sink(struct check *check, const struct config_sink *sink) {
    struct error err = {0};
    check->findings.where = sink_place(check, sink->sink.name);
    if (!is_stopped(check) && !check_sink(check, sink, &err))
        add_undone(check, &err);
}

void check_release(struct check *check) {
    session_close(&check->source);
    session_close(&check->replication);
    findings_release(&check->findings);
    arena_release(&check->arena);
}

void check_all(struct check *check) {
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++)
        run_step(check, &STEPS[i]);
    check_sinks(check);
}

void check_sinks(struct check *check) {
    for (size_t i = 0; i < check->config->sink_count; i++)
        run_sink(check, &check->config->sinks[i]);
    if (check->config->part_count > 0)
        run_sink(check, &check->config->parts[0].sinks[0]);
}
