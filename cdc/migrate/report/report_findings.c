/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_findings.c - the warnings that the migration was begun with.
 *
 * A warning that was accepted after that is accepted, too: the configuration of now decides.
 */
#include "cdc/migrate/report/report.h"

enum { CODE, WHERE, WHAT, OBJECT, ACCEPTED, FIELDS };

static const char READ[] =
    "select w.value ->> 'code', w.value ->> 'where', w.value ->> 'what', w.value ->> 'object',"
    " coalesce((w.value ->> 'accepted')::bool, false)"
    " from pgcdc.migration m, pg_catalog.json_array_elements(m.detail::json -> 'warnings')"
    " with ordinality w (value, place)"
    " where m.pipeline = $1 and m.step = 'plan' and m.object = '' order by w.place";

static const char *keep_field(struct report *report, const PGresult *rows, int row, int column) {
    const char *text = arena_copy(&report->arena, slice_of(PQgetvalue(rows, row, column)));
    report->findings.failed |= text == NULL;
    return text != NULL ? text : "";
}

static void add_warning(struct report *report, const PGresult *rows, int row) {
    struct findings *findings = &report->findings;
    findings->where = keep_field(report, rows, row, WHERE);
    findings_add(findings, SEVERITY_WARNING, keep_field(report, rows, row, CODE), "%s",
                 PQgetvalue(rows, row, WHAT));
    if (!PQgetisnull(rows, row, OBJECT))
        findings_object(findings, PQgetvalue(rows, row, OBJECT));
    if (findings->failed || !result_is_true(rows, row, ACCEPTED))
        return;
    findings->last->is_accepted = true;
    findings->accepted_count++;
    findings->counts[SEVERITY_WARNING]--;
}

bool report_read_findings(struct report *report, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!report->at.exists)
        return true;
    if (!session_query(&report->at.session, READ, 1, &report->at.pipeline,
                       &(const struct result_shape){"the query for the plan's warnings", 0, RESULT_ROWS_ANY,
                                                    FIELDS, 1u << OBJECT},
                       &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++)
        add_warning(report, rows, row);
    for (size_t i = 0; i < report->config->accepted_count; i++)
        findings_accept(&report->findings, report->config->accepted[i]);
    return report->findings.failed ? error_no_memory(err) : true;
}
