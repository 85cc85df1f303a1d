/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_sink.c - one sink: its server, which database that is, and what the sink finds itself.
 *
 * Only here are several sinks, source and pipeline known; what is in a target is its sink's to check.
 */
#include <string.h>

#include "cdc/check/check.h"
#include "cdc/copy/copy_order.h"
#include "cdc/pq/identifier.h"
#include "sinks/check.h"

static bool is_source(const struct check *check, const struct config_sink *sink) {
    return check->has_identity &&
           target_identity_is_source(&check->targets[sink - check->config->sinks], &check->identity);
}

/* ---- the findings of a sink ---- */

static enum severity severity_of(enum sink_severity severity) {
    switch (severity) {
    case SINK_PROBLEM:
        return SEVERITY_PROBLEM;
    case SINK_WARNING:
        return SEVERITY_WARNING;
    case SINK_NOTE:
        return SEVERITY_NOTE;
    }
    return SEVERITY_PROBLEM;
}

static void check_sink_add(void *context, enum sink_severity severity, const char *code, const char *format,
                           va_list values) {
    struct check *check = context;
    findings_add_values(&check->findings, severity_of(severity), code, format, values);
}

static void check_sink_fix(void *context, const char *format, va_list values) {
    struct check *check = context;
    findings_fix_values(&check->findings, format, values);
}

static void check_sink_object(void *context, const char *object) {
    struct check *check = context;
    findings_object(&check->findings, object);
}

static void check_sink_long_copy(void *context, const struct table *table, const char *reason) {
    check_add_long_copy(context, table, reason);
}

static bool check_sink_order(void *context, const struct table **ret_tables, struct error *err) {
    struct check *check = context;
    struct table_list ordered;
    if (!copy_order(&check->source, &check->tables, &check->arena, &ordered, err))
        return false;
    *ret_tables = ordered.tables;
    return true;
}

static const struct sink_check_ops CHECK_OPS = {
    .add = check_sink_add,
    .fix = check_sink_fix,
    .object = check_sink_object,
    .long_copy = check_sink_long_copy,
    .order = check_sink_order,
};

static bool ask_sink(struct check *check, const struct config_sink *config, struct session *target,
                     struct error *err) {
    const struct sink_check asked = {
        .tables = check->tables.tables,
        .table_count = check->has_tables ? check->tables.count : 0,
        .expects_copy = check_expects_copy(check),
        .is_refused = check->is_refused,
        .leaves_out_replicated = check->config->source.origin_is_none,
        .long_copy_bytes = check_long_copy_bytes(check),
        .source_encoding = check->facts.encoding,
        .source = check->source.conn != NULL ? &check->source : NULL,
        .target = target->conn != NULL ? target : NULL,
        .target_is_source = is_source(check, config),
        .arena = &check->arena,
        .ops = &CHECK_OPS,
        .context = check,
    };
    if (sink_admin(config->ops, check) == NULL)
        return true;
    struct sink *sink = sink_new(config->ops, &config->sink, check->stop);
    if (sink == NULL)
        return error_no_memory(err);
    bool checked = config->ops->admin->check(sink, &asked, err);
    sink_free(sink);
    return checked;
}

/* ---- its database ---- */

/*
 * A pipeline into its own source would replicate its own changes, and two sinks in one database would
 * conflict.
 */
static bool check_other_database(struct check *check, struct session *session, const struct config_sink *sink,
                                 struct error *err) {
    const struct config_sink *sinks = check->config->sinks;
    struct target_identity *identity = &check->targets[sink - sinks];
    if (!target_identity_read(session, identity, err))
        return false;
    if (is_source(check, sink)) {
        findings_add(&check->findings, SEVERITY_PROBLEM, "same_database",
                     "source and sink are the same database: each change would be replicated again");
        findings_fix(&check->findings, "correct the sink's dsn");
    }
    for (const struct config_sink *before = sinks; before < sink; before++)
        if (target_identity_equal(&check->targets[before - sinks], identity)) {
            findings_add(&check->findings, SEVERITY_PROBLEM, "same_database",
                         "sink %s is the same database, and both would apply every change",
                         before->sink.name);
            findings_fix(&check->findings, "correct the dsn of one of them, or leave it out");
        }
    return true;
}

/* One of migrate.databases. */
static void add_missing_database(struct check *check) {
    const char *name = identifier_printable(NULL, check->config->database->target, &check->arena);
    if (check->config->migrate.creates) {
        findings_add(&check->findings, SEVERITY_NOTE, "target_database",
                     "database %s is not there yet, and pgcdc migrate makes it", name);
        return;
    }
    findings_add(&check->findings, SEVERITY_PROBLEM, "target_database", "database %s does not exist", name);
    findings_fix(&check->findings, "set migrate.create to yes, or create the database there");
}

/* *ret_session: closed if the server cannot be reached, which is a finding. */
static void open_target(struct check *check, const struct config_sink *sink, struct session *ret_session) {
    struct session_options options = {.stop = check->stop};
    struct error answer = {0};
    sink->ops->admin->target(&sink->sink, &options);
    if (session_open(ret_session, &options, &answer))
        check_transport(check, ret_session);
    else if (strcmp(answer.sqlstate, "3D000") == 0 && check->config->database != NULL)
        add_missing_database(check);
    else
        check_add_unreachable(check, &answer, options.dsn, false);
}

bool check_sink(struct check *check, const struct config_sink *sink, struct error *err) {
    struct session target = {0};
    if (sink_admin(sink->ops, target) != NULL)
        open_target(check, sink, &target);
    bool checked = (target.conn == NULL || check_other_database(check, &target, sink, err)) &&
                   ask_sink(check, sink, &target, err) &&
                   (target.conn == NULL || check->source.conn == NULL || is_source(check, sink) ||
                    check_uncopied(check, sink, &target, err));
    session_close(&target);
    return checked;
}
