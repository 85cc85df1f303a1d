/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_learn.c - what a failed attempt tells the next one, so that it need not fail again.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/log.h"
#include "cdc/engine/attempt.h"
#include "cdc/source/source.h"

enum { PROTOCOL_ERRORS_MAX = 3 };

/*
 * A table that was dropped and does not exist in a target has nothing to replicate. A renamed table keeps its
 * OID.
 */
static bool is_gone(struct attempt *attempt, oid_t oid, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    struct session session = {0};
    PGresult *rows AUTO_PGRESULT = NULL;
    char text[16];
    const char *parameters[] = {text};
    snprintf(text, sizeof text, "%u", oid);
    bool asked = source_open(&session, &pipeline->config->source, pipeline->options->stop, err) &&
                 session_query(&session, "select from pg_catalog.pg_class where oid = $1::oid", 1, parameters,
                               &(const struct result_shape){"the query for a table", 0, 1, 0, 0}, &rows, err);
    session_close(&session);
    return asked && PQntuples(rows) == 0;
}

/* True when a sink lacks a table that no longer exists at the source: the next attempt omits its changes. */
static bool learn_gone(struct attempt *attempt, struct sink *sink, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    struct error ignored = {0};
    const oid_t oid = sink->lack.relation_oid;
    sink->lack.relation_oid = 0;
    if (oid == 0 || attempt->reader->catalog == NULL || !is_gone(attempt, oid, &ignored))
        return false;
    oid_t *gone = reallocarray(pipeline->gone, pipeline->gone_count + 1, sizeof *gone);
    if (gone == NULL)
        return false;
    gone[pipeline->gone_count++] = oid;
    pipeline->gone = gone;
    err->kind = ERROR_RETRY;
    error_wrap(err,
               "a table was dropped at the source and is missing in the target, so its changes are skipped");
    return true;
}

/* True when a sink lacks a table that is published: the next attempt creates and copies it. */
static bool learn_new(struct attempt *attempt, oid_t oid, struct error *err) {
    struct error answer = {0};
    if (oid == 0 || !attempt_add_lacking(attempt, oid, &answer)) {
        if (answer.kind != ERROR_NONE)
            log_about(LOG_TABLE_NOT_COPIED, &(struct log_subject){.error = &answer},
                      "the table that the sink lacks cannot be copied: %s", answer.text);
        return false;
    }
    err->kind = ERROR_RETRY;
    error_wrap(err, "a table is new, and is copied");
    return true;
}

/*
 * True when the sink generates a column that the source sent, and the source generates it too but was not
 * asked so far. The value that the target generates now is the one all its rows have.
 */
static bool learn_generated(struct attempt *attempt, struct sink *sink, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    struct generated_columns columns = {0};
    struct session session = {0};
    struct error ignored = {0};
    const struct sink_column wanted = sink->lack.column;
    sink->lack.column = (struct sink_column){0};
    if (wanted.relation_oid == 0 || attempt->reader->catalog == NULL ||
        generated_columns_find(&pipeline->generated, &wanted))
        return false;
    bool asked = source_open(&session, &pipeline->config->source, pipeline->options->stop, &ignored) &&
                 generated_columns_read(&session, &columns, &ignored);
    session_close(&session);
    if (!asked || !generated_columns_find(&columns, &wanted)) {
        generated_columns_release(&columns);
        return false;
    }
    generated_columns_release(&pipeline->generated);
    pipeline->generated = columns;
    err->kind = ERROR_RETRY;
    error_wrap(err, "the source generates the column too, so the target computes it");
    return true;
}

/*
 * A change that cannot be applied may be one of a large group: the next attempt applies one transaction at a
 * time. A row may be missing because a table was published, or a partition attached, since the last look.
 */
static void learn_from_failure(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    lsn_t received_lsn = atomic_load(&attempt->reader->received_lsn);
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct runner *runner = &attempt->runners[i];
        const oid_t lacking = runner->sink->lack.relation_oid;
        if (runner->error.kind != ERROR_DATA || learn_gone(attempt, runner->sink, err) ||
            learn_new(attempt, lacking, err) || learn_generated(attempt, runner->sink, err) ||
            runner->careful)
            continue;
        pipeline->careful_until_lsn[i] = received_lsn + 1;
        pipeline->looks_for_cause = true;
        pipeline->knows_newcomers = false;
        error_set(err, ERROR_RETRY,
                  "sink %s: a group of transactions could not be applied (SQLSTATE %s); retrying one by one "
                  "to find the "
                  "transaction",
                  runner->sink->config->name,
                  runner->error.sqlstate[0] != '\0' ? runner->error.sqlstate : "unknown");
    }
}

/*
 * `pgcdc table` has changed what is published, and the operator has changed source.tables in the file before,
 * as it says. All threads have ended.
 */
static void learn_tables(struct attempt *attempt, struct error *err) {
    const struct pipeline_options *options = attempt->pipeline->options;
    if (err->kind != ERROR_CONFIG || options->config == NULL || !config_reread_tables(options->config))
        return;
    error_set(err, ERROR_RETRY, "source.tables has changed in the configuration file, and is in force now");
}

/* Values are text from the next attempt on. */
static void learn_text(struct attempt *attempt, struct error *err) {
    if (err->kind != ERROR_NEEDS_TEXT)
        return;
    attempt->pipeline->needs_text = true;
    err->kind = ERROR_RETRY;
}

/*
 * A bit that was damaged in transit is not damaged again at the same place; a peer that speaks another
 * protocol fails every time. Nothing of the damaged transaction was committed, so sending it again is safe,
 * as in every retry.
 */
static void bear_protocol_error(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    if (pipeline->progressed)
        pipeline->protocol_errors = 0;
    if (err->kind != ERROR_PROTOCOL)
        return;
    if (++pipeline->protocol_errors < PROTOCOL_ERRORS_MAX) {
        err->kind = ERROR_RETRY;
        return;
    }
    error_remedy(err,
                 "%s in a row failed like this, without progress: find out what damages "
                 "data in transit (with sslmode=require in the dsn all damage is detected and "
                 "retried); if nothing does, report a bug in pgcdc",
                 amount_count((uint64_t) pipeline->protocol_errors, "attempt").text);
}

/* The rows are wanted since the last commit, so the next attempt finds them. */
static void learn_rewritten(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct sink *sink = attempt->runners[i].sink;
        if (sink->wants_rows)
            attempt->pipeline->knows_newcomers = false;
        sink->wants_rows = false;
    }
}

void attempt_learn(struct attempt *attempt, struct error *err) {
    learn_rewritten(attempt);
    learn_from_failure(attempt, err);
    bear_protocol_error(attempt, err);
    learn_text(attempt, err);
    learn_tables(attempt, err);
}
