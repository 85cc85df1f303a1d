/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_sink.c - lets a sink check itself, and passes on its findings.
 */
#include "cdc/check/check.h"

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

static void check_sink_report(void *context, const struct sink_finding *finding) {
    struct findings *findings = context;
    findings_add(findings, severity_of(finding->severity), finding->code, "%s", finding->what);
    if (finding->fix[0] != '\0')
        findings_fix(findings, "%s", finding->fix);
    if (finding->object != NULL)
        findings_object(findings, finding->object);
}

bool check_sink(struct check *check, const struct config_sink *config, struct error *err) {
    const struct sink_check asked = {.tables = check->tables.tables,
                                     .table_count = check->has_tables ? check->tables.count : 0,
                                     .expects_copy = check_expects_copy(check),
                                     .report = check_sink_report,
                                     .context = &check->findings};
    struct sink *sink = sink_new(config->ops, &config->sink, check->stop);
    if (sink == NULL)
        return error_no_memory(err);
    bool checked = config->ops->admin->check(sink, &asked, err);
    sink_free(sink);
    return checked;
}
