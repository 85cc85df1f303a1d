/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c - makes the parts of a plan, each independent of the others.
 */
#include "cdc/migrate/plan/plan.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/migrate/plan/data.h"
#include "cdc/migrate/plan/probe.h"
#include "cdc/pq/lock_wait.h"

#define OIDS_BYTES_MAX ((size_t) 64 << 20)

const char *plan_printf(struct plan *plan, const char *format, ...) {
    char *text = NULL;
    va_list values;
    va_start(values, format);
    const int length = vasprintf(&text, format, values);
    va_end(values);
    const char *kept =
        length < 0 ? NULL
                   : arena_copy(&plan->check->arena, (struct slice){.data = text, .size = (size_t) length});
    if (length >= 0)
        free(text);
    plan->check->findings.failed = plan->check->findings.failed || kept == NULL;
    return kept != NULL ? kept : "";
}

static void add_undone(struct plan *plan, const char *where, struct error *error) {
    struct check *check = plan->check;
    if (error->kind == ERROR_STOPPED)
        return;
    check->findings.where = where;
    if (check->source.conn != NULL)
        lock_wait_explain(&check->source, error);
    findings_add(&check->findings, SEVERITY_WARNING, "unchecked", "a part could not be checked: %s",
                 error_line(error).text);
}

/* Bytes of WAL a second since the statistics began. */
static bool read_wal_rate(struct check *check, int64_t *ret_rate, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&check->source,
                       "select (wal_bytes / greatest(extract(epoch from now() - stats_reset), 1))::bigint"
                       " from pg_stat_wal where not pg_is_in_recovery()",
                       0, NULL, &(const struct result_shape){"the rate of WAL", 0, 1, 1, 1u}, &rows, err))
        return false;
    *ret_rate = PQntuples(rows) == 0 || PQgetisnull(rows, 0, 0) ? COUNT_UNKNOWN
                                                                : strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    return true;
}

static void add_server(struct plan *plan, const char *where, const struct session *session) {
    const int version = session->server_version;
    struct plan_server *server = &plan->servers[plan->server_count++];
    server->where = where;
    server->database = plan_printf(plan, "%s", PQdb(session->conn));
    snprintf(server->version, sizeof server->version, "%d.%d", version / 10000, version % 10000);
}

/* "{16385,16390}" */
static void list_moved(struct plan *plan) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = OIDS_BYTES_MAX};
    const struct inventory_class *tables = inventory_find(&plan->inventory, "tables");
    for (size_t i = 0; i < tables->count; i++)
        if (tables->objects[i].how == HOW_ROWS)
            buffer_printf(&text, "%s%u", text.size == 0 ? "{" : ",", tables->objects[i].oid);
    buffer_append_text(&text, text.size == 0 ? "{}" : "}");
    const char *kept = buffer_ok(&text) ? arena_copy(&plan->check->arena, buffer_slice(&text)) : NULL;
    plan->check->findings.failed = plan->check->findings.failed || kept == NULL;
    plan->moved_oids = kept != NULL ? kept : "{}";
}

static void probe_source(struct plan *plan) {
    list_moved(plan);
    plan_check_pooler(plan);
    plan_check_room(plan);
    probe_run(plan, NULL, SOURCE_PROBES);
    probe_run(plan, NULL, TABLE_PROBES);
    if (plan->assumptions.reads_rows)
        data_run(plan, NULL);
}

static void take_source(struct plan *plan) {
    struct check *check = plan->check;
    struct error err = {0};
    int64_t wal_rate = COUNT_UNKNOWN;
    check->findings.where = "source";
    add_server(plan, "source", &check->source);
    plan->has_inventory = inventory_read(check, &plan->inventory, &err);
    if (!plan->has_inventory || !read_wal_rate(check, &wal_rate, &err))
        add_undone(plan, "source", &err);
    if (!plan->has_inventory)
        return;
    plan_estimate(plan, wal_rate);
    plan_order_steps(plan);
    probe_source(plan);
}

/* A target that cannot be reached is a finding of check. */
static void probe_sink(struct plan *plan, const struct config_sink *sink) {
    struct session_options options = {.stop = plan->check->stop};
    struct session target = {0};
    struct error ignored = {0};
    plan->check->findings.where = plan_printf(plan, "sink %s", sink->sink.name);
    if (sink_admin(sink->ops, target) == NULL) {
        probe_run(plan, NULL, RECORD_PROBES);
        return;
    }
    sink->ops->admin->target(&sink->sink, &options);
    if (session_open(&target, &options, &ignored)) {
        add_server(plan, plan->check->findings.where, &target);
        probe_run(plan, &target, TARGET_PROBES);
        if (plan->assumptions.reads_rows)
            data_run(plan, &target);
    }
    session_close(&target);
}

/* What the target lacks until the schema is made there. */
static bool is_of_missing_schema(const struct finding *finding) {
    static const char *const CODES[] = {"target_schema", "target_table", "target_type"};
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (finding->severity == SEVERITY_PROBLEM && strcmp(finding->code, CODES[i]) == 0)
            return true;
    return false;
}

static void relax_findings(struct findings *findings) {
    for (struct finding *finding = findings->first; finding != NULL; finding = finding->next) {
        if (!is_of_missing_schema(finding))
            continue;
        findings->counts[finding->severity]--;
        finding->severity = SEVERITY_NOTE;
        findings->counts[finding->severity]++;
        finding->fix = "pgcdc migrate makes it there with the schema";
    }
}

static void probe_sinks(struct plan *plan) {
    for (size_t i = 0; plan->has_inventory && i < plan->check->config->sink_count; i++)
        probe_sink(plan, &plan->check->config->sinks[i]);
}

/* Only what was looked for can be missing; and another database of the file may need the entry. */
static void accept_findings(struct plan *plan) {
    const struct config *config = plan->check->config;
    struct findings *findings = &plan->check->findings;
    findings->has_entries = true;
    findings->where = "configuration";
    for (size_t i = 0; i < config->accepted_count; i++) {
        if (findings_accept(findings, config->accepted[i]) > 0 || !plan->has_inventory ||
            config->database != NULL)
            continue;
        findings_add(findings, SEVERITY_WARNING, "accept_unused",
                     "accept has %s, and there is no such warning", config->accepted[i]);
        findings_fix(findings, "remove it from accept; only warnings can be accepted");
    }
}

void plan_make(struct plan *plan, struct check *check, const struct plan_assumptions *assumptions) {
    *plan = (struct plan){.check = check, .assumptions = *assumptions};
    check_all(check);
    if (!assumptions->has_schema)
        relax_findings(&check->findings);
    plan->servers = arena_alloc_zero(&check->arena, (check->config->sink_count + 1) * sizeof *plan->servers);
    if (plan->servers == NULL)
        check->findings.failed = true;
    else if (check->source.conn != NULL)
        take_source(plan);
    probe_sinks(plan);
    accept_findings(plan);
}

void plan_look_again(struct plan *plan) {
    findings_drop(&plan->check->findings, "sink ");
    plan->server_count = 1; /* the source */
    plan->assumptions.has_schema = true;
    check_sinks(plan->check);
    probe_sinks(plan);
    accept_findings(plan);
}
