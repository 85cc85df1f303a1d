/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.c - see data.h.
 */
#include "cdc/migrate/plan/data.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/migrate/plan/probe.h"
#include "cdc/pq/lock_wait.h"

#define SQL_BYTES_MAX ((size_t) 16 << 20)

enum { DATA_SCHEMA, DATA_TABLE, DATA_LABEL, DATA_CONDITION, DATA_KEYS, DATA_COLUMNS };

struct candidate {
    const struct data_probe *probe;
    const PGresult *rows;
    int row;
};

static const char *candidate_value(const struct candidate *candidate, int column) {
    return PQgetvalue(candidate->rows, candidate->row, column);
}

static bool has_keys(const struct candidate *candidate) {
    return !PQgetisnull(candidate->rows, candidate->row, DATA_KEYS);
}

/* "from "public"."t" t where ..." */
static void append_from(struct plan *plan, struct buffer *sql, const struct candidate *candidate) {
    buffer_printf(sql, "from %s t where %s",
                  check_name(plan->check, candidate_value(candidate, DATA_SCHEMA),
                             candidate_value(candidate, DATA_TABLE)),
                  candidate_value(candidate, DATA_CONDITION));
    if (has_keys(candidate))
        buffer_printf(sql, " group by %s having count(*) > 1", candidate_value(candidate, DATA_KEYS));
}

static bool count_rows(struct plan *plan, const struct candidate *candidate, uint64_t *ret_count,
                       struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *rows AUTO_PGRESULT = NULL;
    buffer_append_text(&sql, "select count(*) from (select ");
    append_from(plan, &sql, candidate);
    buffer_append_text(&sql, ") found");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(&plan->check->source, sql.data, 0, NULL,
                       &(const struct result_shape){"the number of rows", 1, 1, 1, 0}, &rows, err))
        return false;
    *ret_count = strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
    return true;
}

static void add_fix(struct plan *plan, const struct candidate *candidate) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (has_keys(candidate))
        buffer_printf(&sql, "select %s, count(*) ", candidate_value(candidate, DATA_KEYS));
    else
        buffer_append_text(&sql, "select * ");
    append_from(plan, &sql, candidate);
    if (buffer_text(&sql) != NULL)
        findings_fix(&plan->check->findings, "%s;  -- lists them: correct or remove them", sql.data);
    else
        plan->check->findings.failed = true;
}

static void add_candidate(struct plan *plan, const struct candidate *candidate, uint64_t count) {
    struct findings *findings = &plan->check->findings;
    const struct data_probe *probe = candidate->probe;
    findings_add(findings, probe->severity, probe->code, "%s: %s",
                 probe_text(plan, probe->what, candidate->rows, candidate->row),
                 amount_count(count, has_keys(candidate) ? "value" : "row").text);
    add_fix(plan, candidate);
    findings_object(findings, probe_text(plan, "{1q}.{3i}", candidate->rows, candidate->row));
}

static void add_undone(struct plan *plan, const char *code, const char *table, struct error *error) {
    if (error->kind == ERROR_STOPPED)
        return;
    lock_wait_explain(&plan->check->source, error);
    findings_add(&plan->check->findings, SEVERITY_WARNING, "unchecked", "%s%s%s could not be checked: %s",
                 code, table[0] != '\0' ? " of table " : "", table, error_line(error).text);
}

static void count_candidates(struct plan *plan, const struct data_probe *probe, const PGresult *rows) {
    for (int row = 0; row < PQntuples(rows); row++) {
        const struct candidate candidate = {.probe = probe, .rows = rows, .row = row};
        struct error err = {0};
        uint64_t count = 0;
        if (!count_rows(plan, &candidate, &count, &err))
            add_undone(plan, probe->code, probe_text(plan, "{1q}", rows, row), &err);
        else if (count > 0)
            add_candidate(plan, &candidate, count);
        if (err.kind == ERROR_STOPPED)
            return;
    }
}

static bool find_candidates(struct plan *plan, struct session *target, const struct data_probe *probe,
                            PGresult **ret_rows, struct error *err) {
    PGresult *given AUTO_PGRESULT = NULL;
    if (probe->given != NULL &&
        !session_query(target, probe->given, 0, NULL, &(const struct result_shape){probe->code, 1, 1, 1, 0},
                       &given, err))
        return false;
    const char *parameters[] = {plan->moved_oids, given != NULL ? PQgetvalue(given, 0, 0) : NULL};
    return session_query(
        &plan->check->source, probe->sql, given != NULL ? 2 : 1, parameters,
        &(const struct result_shape){probe->code, 0, RESULT_ROWS_ANY, DATA_COLUMNS, 1u << DATA_KEYS},
        ret_rows, err);
}

void data_run(struct plan *plan, struct session *target) {
    const char *where = plan->check->findings.where;
    plan->check->findings.where = "source";
    for (const struct data_probe *probe = DATA_PROBES; probe->code != NULL; probe++) {
        PGresult *rows AUTO_PGRESULT = NULL;
        struct error err = {0};
        if ((probe->given != NULL) != (target != NULL))
            continue;
        if (find_candidates(plan, target, probe, &rows, &err))
            count_candidates(plan, probe, rows);
        else
            add_undone(plan, probe->code, "", &err);
    }
    plan->check->findings.where = where;
}
