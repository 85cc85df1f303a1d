/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - see probe.h.
 */
#include "cdc/migrate/plan/probe.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/lock_wait.h"

#define TEXT_BYTES_MAX ((size_t) 1 << 20)
#define SLOTS_BYTES_MAX ((size_t) 1 << 17)

static struct slice value_at(const PGresult *rows, int row, int column) {
    return (struct slice){.data = PQgetvalue(rows, row, column),
                          .size = (size_t) PQgetlength(rows, row, column)};
}

/* column: from 0. */
static void append_value(struct buffer *text, const PGresult *rows, int row, int column, char form) {
    switch (form) {
    case 'i':
        identifier_append_printable(text, value_at(rows, row, column));
        break;
    case 'q':
        identifier_append_printable_qualified(text, value_at(rows, row, column),
                                              value_at(rows, row, column + 1));
        break;
    case 's':
        literal_append(text, value_at(rows, row, column));
        break;
    default:
        buffer_append_slice(text, value_at(rows, row, column));
    }
}

const char *probe_text(struct plan *plan, const char *template, const PGresult *rows, int row) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    for (const char *at = template; *at != '\0';) {
        if (*at == '{' && isdigit((unsigned char) at[1])) {
            const char form = at[2] == '}' ? '\0' : at[2];
            append_value(&text, rows, row, at[1] - '1', form);
            at += form == '\0' ? 3 : 4;
        } else {
            buffer_append(&text, at++, 1);
        }
    }
    const char *kept = buffer_ok(&text) ? arena_copy(&plan->check->arena, buffer_slice(&text)) : NULL;
    plan->check->findings.failed = plan->check->findings.failed || kept == NULL;
    return kept != NULL ? kept : "";
}

static void add_rows(struct plan *plan, const struct probe *probe, const PGresult *rows) {
    struct findings *findings = &plan->check->findings;
    for (int row = 0; row < PQntuples(rows); row++) {
        findings_add(findings, probe->severity, probe->code, "%s", probe_text(plan, probe->what, rows, row));
        if (probe->fix[0] != '\0')
            findings_fix(findings, "%s", probe_text(plan, probe->fix, rows, row));
        if (probe->object != NULL)
            findings_object(findings, probe_text(plan, probe->object, rows, row));
    }
}

static bool probe_query(struct session *session, const struct probe *probe, const char *sql, int columns,
                        const char *const *parameters, PGresult **ret_rows, struct error *err) {
    const int count = strstr(sql, "$2") != NULL ? 2 : strstr(sql, "$1") != NULL;
    const struct result_shape shape = {probe->code, 0, RESULT_ROWS_ANY, columns, RESULT_NULL_ANYWHERE};
    return session_query(session, sql, count, parameters, &shape, ret_rows, err);
}

/* An array's text; slots have names that need no quotes in it. Those of the file's other databases too. */
static const char *own_slots(struct plan *plan) {
    const struct config *config = plan->check->config;
    struct buffer array AUTO(buffer_release) = {.bytes_max = SLOTS_BYTES_MAX};
    buffer_printf(&array, "{%s", config->source.slot);
    for (size_t i = 0; config->database != NULL && i < config->migrate.database_count; i++)
        buffer_printf(&array, ",%s", config->migrate.databases[i].name);
    buffer_append_text(&array, "}");
    return buffer_ok(&array) ? arena_copy(&plan->check->arena, buffer_slice(&array)) : NULL;
}

static bool run_at_source(struct plan *plan, const struct probe *probe, PGresult **ret_rows,
                          struct error *err) {
    const char *parameters[] = {plan->moved_oids, own_slots(plan)};
    return parameters[1] == NULL ? error_no_memory(err)
                                 : probe_query(&plan->check->source, probe, probe->sql, probe->columns,
                                               parameters, ret_rows, err);
}

static bool run_at_target(struct plan *plan, struct session *target, const struct probe *probe,
                          PGresult **ret_rows, struct error *err) {
    PGresult *given AUTO_PGRESULT = NULL;
    if (probe->given == NULL)
        return probe_query(target, probe, probe->sql, probe->columns, NULL, ret_rows, err);
    if (!probe_query(&plan->check->source, probe, probe->given, 1, &plan->moved_oids, &given, err))
        return false;
    if (PQntuples(given) != 1)
        return error_set(err, ERROR_PROTOCOL, "source: no answer about %s", probe->code);
    const char *parameter = PQgetvalue(given, 0, 0);
    return probe_query(target, probe, probe->sql, probe->columns, &parameter, ret_rows, err);
}

static void add_undone(struct plan *plan, const struct probe *probe, struct session *session,
                       struct error *error) {
    if (error->kind == ERROR_STOPPED)
        return;
    lock_wait_explain(session, error);
    findings_add(&plan->check->findings, SEVERITY_WARNING, "unchecked", "%s could not be checked: %s",
                 probe->code, error_line(error).text);
}

static bool is_made_anyway(const struct plan *plan, const struct probe *probe) {
    return plan->check->config->migrate.makes_roles && strcmp(probe->code, "role_missing") == 0;
}

void probe_run(struct plan *plan, struct session *target, const struct probe *probes) {
    struct session *asked = target != NULL ? target : &plan->check->source;
    for (const struct probe *probe = probes; probe->code != NULL; probe++) {
        PGresult *rows AUTO_PGRESULT = NULL;
        struct error err = {0};
        if (asked->server_version < probe->version_min || is_made_anyway(plan, probe))
            continue;
        if (target == NULL ? run_at_source(plan, probe, &rows, &err)
                           : run_at_target(plan, target, probe, &rows, &err))
            add_rows(plan, probe, rows);
        else
            add_undone(plan, probe, asked, &err);
    }
}
