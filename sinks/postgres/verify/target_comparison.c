/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_comparison.c - opens the target's side, and takes its snapshots.
 */
#include "sinks/postgres/verify/target_comparison.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/postgres/target/position_row.h"
#include "sinks/postgres/verify/both_sides.h"
#include "sinks/postgres/verify/expressions.h"
#include "sinks/postgres/verify/sums.h"

static struct target_comparison *comparison_of(struct comparison *comparison) {
    return (struct target_comparison *) comparison;
}

/*
 * hashtextextended may change between versions, and it hashes bytes in the database's encoding. It is used
 * only if both servers return the same for test texts of every length that its inner loop distinguishes.
 */
static bool choose_hash(struct target_comparison *comparison, struct error *err) {
    static const char SQL[] =
        "select getdatabaseencoding(), array_agg(hashtextextended(repeat('Pg-cdc/', n), 0) order by n)"
        " from generate_series(0, 40) n";
    struct both_answers answers AUTO(both_answers_release) = {0};
    const struct both_question question = {
        .source_sql = SQL, .target_sql = SQL, .shape = {"the query for its hash", 1, 1, 2, 0}};
    if (!both_sides_ask(comparison, &question, &answers, err))
        return false;
    comparison->has_hash = strcmp(PQgetvalue(answers.source, 0, 0), PQgetvalue(answers.target, 0, 0)) == 0 &&
                           strcmp(PQgetvalue(answers.source, 0, 1), PQgetvalue(answers.target, 0, 1)) == 0;
    return true;
}

static bool read_identity(struct target_comparison *comparison, struct error *err) {
    static const char SQL[] = "select pg_catalog.format('%s %s', system_identifier,"
                              " pg_catalog.current_database()) from pg_catalog.pg_control_system()";
    PGresult *result AUTO_PGRESULT = NULL;
    struct error answer = {0};
    if (session_query(&comparison->target, SQL, 0, NULL,
                      &(const struct result_shape){"the query for its identity", 1, 1, 1, 0}, &result,
                      &answer))
        snprintf(comparison->identity, sizeof comparison->identity, "%s", PQgetvalue(result, 0, 0));
    if (result != NULL || answer.sqlstate[0] != '\0')
        return true;
    *err = answer;
    return false;
}

static bool target_comparison_prepare(struct comparison *comparison, const struct table *table,
                                      struct arena *arena, const struct comparison_table **ret_table,
                                      struct error *err) {
    struct expressions *expressions = arena_alloc_zero(arena, sizeof *expressions);
    if (expressions == NULL)
        return error_no_memory(err);
    struct target_comparison *of = comparison_of(comparison);
    *ret_table = &expressions->table;
    return expressions_prepare(expressions, table, of, arena, err) &&
           (!expressions->is_staged || stage_open(&of->stage, of->config, &of->options, err));
}

static bool target_comparison_ping(struct comparison *comparison, struct error *err) {
    struct target_comparison *of = comparison_of(comparison);
    return session_execute(&of->target, "select", err) &&
           (of->stage.session.conn == NULL || session_execute(&of->stage.session, "select", err));
}

/* The position is read in the snapshot. */
static bool target_comparison_pin(struct comparison *comparison, lsn_t *ret_lsn, struct error *err) {
    struct target_comparison *of = comparison_of(comparison);
    stage_forget(&of->stage);
    const struct position_row row = {
        .pipeline = of->config->pipeline, .sink = of->config->name, .stream = sink_stream(of->config)};
    return session_execute(&of->target, "begin isolation level repeatable read read only", err) &&
           position_row_find_lsn(&row, &of->target, ret_lsn, err);
}

static bool target_comparison_unpin(struct comparison *comparison, struct error *err) {
    struct target_comparison *of = comparison_of(comparison);
    stage_forget(&of->stage);
    return session_execute(&of->target, "rollback", err);
}

static void target_comparison_close(struct comparison *comparison) {
    struct target_comparison *of = comparison_of(comparison);
    stage_close(&of->stage);
    session_close(&of->target);
    free(of);
}

static const struct comparison_ops TARGET_COMPARISON = {
    .prepare = target_comparison_prepare,
    .check_where = sums_check_where,
    .ping = target_comparison_ping,
    .pin = target_comparison_pin,
    .unpin = target_comparison_unpin,
    .hold = sums_hold,
    .sum = sums_ask,
    .count_narrowed = sums_count_narrowed,
    .find_columns = sums_find_columns,
    .read_rows = sums_read_rows,
    .close = target_comparison_close,
};

bool target_comparison_open(const struct sink_config *config, const struct session_options *options,
                            struct session *source, struct comparison **ret_comparison, struct error *err) {
    struct target_comparison *of = calloc(1, sizeof *of);
    if (of == NULL)
        return error_no_memory(err);
    of->comparison.ops = &TARGET_COMPARISON;
    of->source = source;
    of->config = config;
    of->options = *options;
    if (!session_open(&of->target, options, err) || !session_take_bytes(&of->target, err) ||
        !session_notice_our_end(&of->target, err) || !read_identity(of, err) || !choose_hash(of, err)) {
        target_comparison_close(&of->comparison);
        return false;
    }
    *ret_comparison = &of->comparison;
    return true;
}
