/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_judge.c - what does not close, a line for each.
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/visible.h"
#include "cdc/migrate/report/report.h"

enum { NAMED_MAX = 20 };

static const struct step *find_step(const struct report *report, const char *name) {
    for (size_t i = 0; i < report->steps.count; i++)
        if (strcmp(report->steps.steps[i].name, name) == 0)
            return &report->steps.steps[i];
    return NULL;
}

static void judge_steps(struct report *report) {
    static const char *const NAMES[] = {"plan", "schema", "copy", "indexes", "sequences", "follow", "verify"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const struct step *step = find_step(report, NAMES[i]);
        if (step == NULL)
            buffer_printf(&report->open, "step %s: it was not begun\n", NAMES[i]);
        else if (step->state != STEP_DONE && strcmp(NAMES[i], "verify") != 0)
            buffer_printf(&report->open, "step %s: it is %s\n", NAMES[i], step_state_name(step->state));
    }
    for (size_t i = 0; i < report->states.count; i++) {
        const struct step *state = &report->states.steps[i];
        buffer_printf(&report->open, "step %s%s%s: it is %s\n", state->name,
                      state->object[0] != '\0' ? " " : "", state->object, step_state_name(state->state));
    }
}

static bool is_open(enum sequence_state state) {
    return state != SEQUENCE_EQUAL && state != SEQUENCE_AHEAD;
}

static void judge_sequences(struct report *report) {
    for (size_t i = 0; i < SEQUENCE_STATES; i++) {
        if (!is_open((enum sequence_state) i) || report->sequences.counts[i] == 0)
            continue;
        buffer_printf(&report->open, "%s %s: ", amount_count(report->sequences.counts[i], "sequence").text,
                      sequence_state_name((enum sequence_state) i));
        sequences_name(&report->sequences, (enum sequence_state) i, &report->open);
        buffer_append_text(&report->open, "\n");
    }
}

/* What only the target has was not moved, and takes nothing from it. */
static void judge_schema(struct report *report) {
    static const char *const FAULTS[] = {[SCHEMA_MISSING] = "missing at the target",
                                         [SCHEMA_DIFFERENT] = "defined otherwise at the target"};
    size_t named = 0, count = 0;
    for (size_t i = 0; i < report->schema.count; i++) {
        const struct schema_difference *difference = &report->schema.differences[i];
        if (difference->fault == SCHEMA_EXTRA)
            continue;
        if (count++ >= NAMED_MAX)
            continue;
        named++;
        buffer_printf(&report->open, "%s %s%s%s: %s\n", difference->kind, difference->schema,
                      difference->schema[0] != '\0' ? "." : "", difference->name, FAULTS[difference->fault]);
    }
    if (count > named)
        buffer_printf(&report->open, "schema: %zu more of these\n", count - named);
}

static void judge_findings(struct report *report) {
    for (const struct finding *finding = report->findings.first; finding != NULL; finding = finding->next) {
        if (finding->is_accepted)
            continue;
        buffer_printf(&report->open, "warning of the plan, not accepted: %s%s%s: %s\n", finding->code,
                      finding->object != NULL ? ":" : "", finding->object != NULL ? finding->object : "",
                      finding->what);
    }
}

bool report_judge(struct report *report, struct error *err) {
    judge_steps(report);
    (void) proof_closes(&report->proof, &report->open);
    judge_sequences(report);
    judge_schema(report);
    judge_findings(report);
    return buffer_ok(&report->open) ? true : error_no_memory(err);
}
