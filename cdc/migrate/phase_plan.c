/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phase_plan.c - a migration begins when its plan has no problem.
 *
 * What the plan found is kept with the step, so that the report can list it. Until the copy has begun the
 * plan is made anew by each run, because its findings are being fixed. When the schema is made, the part
 * about the sinks is made once more, because some of what the target lacked is there then.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/migrate/migrate.h"
#include "cdc/migrate/plan/plan.h"
#include "cdc/migrate/steps/step_detail.h"

#define PLAN_ARENA_BYTES_MAX ((size_t) 1 << 30)
#define PLAN_COPY_BYTES (UINT64_C(40) << 20)
#define PLAN_INDEX_BYTES (UINT64_C(20) << 20)

static void put_finding(struct json_writer *json, const struct finding *finding) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "code", finding->code);
    json_put_field(json, "where", finding->where);
    json_put_field(json, "what", finding->what);
    json_put_key(json, "object");
    if (finding->object != NULL)
        json_put_text(json, slice_of(finding->object));
    else
        yajl_gen_null(json->generator);
    json_put_key(json, "accepted");
    yajl_gen_bool(json->generator, finding->is_accepted);
    yajl_gen_map_close(json->generator);
}

/* An entry that no warning needs any more is about the file, not about the migration. */
static bool is_of_migration(const struct finding *finding) {
    return finding->severity == SEVERITY_WARNING && strcmp(finding->code, "accept_unused") != 0;
}

/* Each warning by itself: before findings_group. */
static void put_warnings(struct json_writer *json, const struct plan *plan) {
    json_put_key(json, "warnings");
    yajl_gen_array_open(json->generator);
    for (const struct finding *finding = plan->check->findings.first; finding != NULL;
         finding = finding->next)
        if (is_of_migration(finding))
            put_finding(json, finding);
    yajl_gen_array_close(json->generator);
}

static void log_warnings(const struct plan *plan) {
    const struct findings *findings = &plan->check->findings;
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next)
        if (is_of_migration(finding) && !finding->is_accepted)
            log_line(LOG_PLAN_WARNING,
                     "migrate: %s: %s (%s); it stays open in the report unless accept has it", finding->where,
                     finding->what, finding->code);
}

static bool store_plan(struct migrate *migrate, struct plan *plan, bool has_schema, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct buffer text AUTO(buffer_release) = {0};
    const char *detail = NULL;
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    plan_put_servers(plan, &json);
    put_warnings(&json, plan);
    yajl_gen_map_close(json.generator);
    if (!step_detail(&json, &text, &detail, err))
        return false;
    if (has_schema) {
        findings_group(&plan->check->findings);
        log_warnings(plan);
    }
    return migrate_done(migrate, "plan", detail, err);
}

static bool take_plan(struct migrate *migrate, struct plan *plan, bool has_schema, struct error *err) {
    struct findings *findings = &plan->check->findings;
    if (atomic_load(migrate->stop))
        return error_set(err, ERROR_STOPPED, "stopped");
    if (findings->failed)
        return error_no_memory(err);
    migrate->problem_count = findings->counts[SEVERITY_PROBLEM];
    if (migrate->problem_count == 0)
        return store_plan(migrate, plan, has_schema, err);
    findings_group(findings);
    plan_print(plan, stdout);
    return true;
}

struct migrate_plan {
    struct check check;
    struct plan plan;
};

void phase_plan_forget(struct migrate *migrate) {
    if (migrate->plan == NULL)
        return;
    check_release(&migrate->plan->check);
    free(migrate->plan);
    migrate->plan = NULL;
}

static bool make_plan(struct migrate *migrate, bool has_schema, struct error *err) {
    const struct plan_assumptions assumptions = {.copy_bytes = PLAN_COPY_BYTES,
                                                 .index_bytes = PLAN_INDEX_BYTES,
                                                 .has_schema = has_schema};
    phase_plan_forget(migrate);
    migrate->plan = calloc(1, sizeof *migrate->plan);
    if (migrate->plan == NULL)
        return error_no_memory(err);
    struct check *check = &migrate->plan->check;
    check->config = migrate->config;
    check->stop = migrate->stop;
    arena_init(&check->arena, 65536, PLAN_ARENA_BYTES_MAX);
    findings_init(&check->findings);
    if (!migrate_begin(migrate, "plan", err))
        return false;
    plan_make(&migrate->plan->plan, check, &assumptions);
    return take_plan(migrate, &migrate->plan->plan, has_schema, err);
}

/* The plan of this process is a moment old: only the sinks have changed. */
static bool is_recent(struct migrate *migrate) {
    struct error ignored = {0};
    return migrate->plan != NULL && migrate->plan->plan.has_inventory &&
           session_execute(&migrate->plan->check.source, "select 1", &ignored);
}

/* Then it is what the migration was begun with. */
static bool copy_has_begun(struct migrate *migrate, bool *ret_begun, struct error *err) {
    struct step copy;
    if (!steps_read(&migrate->steps, "copy", "", &migrate->arena, &copy, err))
        return false;
    *ret_begun = copy.state != STEP_NONE;
    return true;
}

bool phase_plan(struct migrate *migrate, struct error *err) {
    bool has_begun = false;
    if (!copy_has_begun(migrate, &has_begun, err) || has_begun)
        return has_begun;
    return make_plan(migrate, false, err);
}

bool phase_plan_again(struct migrate *migrate, struct error *err) {
    if (!is_recent(migrate))
        return make_plan(migrate, true, err);
    if (!migrate_begin(migrate, "plan", err))
        return false;
    plan_look_again(&migrate->plan->plan);
    return take_plan(migrate, &migrate->plan->plan, true, err);
}
