/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_triggers.c - how a start will see which columns of tables have changed: by the triggers of `pgcdc ddl
 * install`, or in the catalog.
 */
#include "cdc/check/check.h"
#include "cdc/source/ddl_triggers.h"

#define MISSED                                                                                               \
    "so where a table has changed more than once before its next row is read, it may not be certain "        \
    "whether a column was renamed, or dropped and added, and the pipeline stops"

static bool has_asking_sink(const struct check *check) {
    for (size_t i = 0; i < check->config->sink_count; i++)
        if (check->config->sinks[i].ops->asks_columns)
            return true;
    return false;
}

bool check_triggers(struct check *check, struct error *err) {
    struct findings *findings = &check->findings;
    struct ddl_triggers triggers;
    if (!has_asking_sink(check) || check->source.server_version < SERVER_VERSION_MIN)
        return true;
    if (!ddl_triggers_read(&check->source, &triggers, err))
        return false;
    switch (triggers.state) {
    case DDL_TRIGGERS_NONE:
        findings_add(findings, SEVERITY_NOTE, "ddl_triggers",
                     "changes of columns are seen in the source's catalog, which shows them as they are when "
                     "pgcdc asks, " MISSED);
        findings_fix(findings,
                     "nothing, if that is rare; else `pgcdc ddl install`, which needs a superuser of "
                     "the source");
        break;
    case DDL_TRIGGERS_OFF:
        findings_add(findings, SEVERITY_WARNING, "ddl_triggers",
                     "event triggers of `pgcdc ddl install` are missing, of another version, or switched "
                     "off, so they are not used: "
                     "changes of columns are seen in the source's catalog, " MISSED);
        findings_fix(findings,
                     "run `pgcdc ddl install` again, or `pgcdc ddl remove`, as a superuser of the source");
        break;
    case DDL_TRIGGERS_DENIED:
        findings_add(
            findings, SEVERITY_WARNING, "ddl_triggers",
            "role %s may not read pgcdc.ddl_key, so the event triggers of `pgcdc ddl install` are not "
            "used: changes of columns are seen in the source's catalog, " MISSED,
            check->facts.role);
        findings_fix(findings, "let a superuser of the source run what `pgcdc ddl install --print` prints");
        break;
    case DDL_TRIGGERS_ON:
        findings_add(
            findings, SEVERITY_NOTE, "ddl_triggers",
            "the source's event triggers tell changes of columns in the stream (`pgcdc ddl install`)");
        break;
    }
    return true;
}
