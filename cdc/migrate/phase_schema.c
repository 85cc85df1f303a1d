/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phase_schema.c - the schema is made in two stages, before and after the copy.
 *
 * Each object has a step of its own (schema/), so a stage that was killed goes on with what is missing.
 */
#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/migrate/migrate.h"
#include "cdc/migrate/schema/schema.h"
#include "cdc/migrate/steps/step_detail.h"

enum { RETRY_PAUSE_MS = 1000 };

static bool put_counts(const struct schema_counts *counts, struct buffer *text, const char **ret_detail,
                       struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    json_put_number(&json, "made", (int64_t) counts->made);
    json_put_number(&json, "present", (int64_t) counts->present);
    json_put_number(&json, "left_out", (int64_t) counts->left_out);
    yajl_gen_map_close(json.generator);
    return step_detail(&json, text, ret_detail, err);
}

/* A server that is away comes back. */
static bool apply_stage(struct migrate *migrate, enum schema_stage stage, struct schema_counts *ret_counts,
                        struct error *err) {
    const struct schema_task task = {
        migrate->config, migrate->sink, stage, &migrate->steps, migrate->stop,
    };
    struct schema_kept **kept = stage == SCHEMA_BEFORE_COPY ? &migrate->schema : NULL;
    while (!schema_apply(&task, kept, ret_counts, err)) {
        if (err->kind != ERROR_RETRY || atomic_load(migrate->stop))
            return false;
        log_about(LOG_SCHEMA_RETRY, &(struct log_subject){.error = err}, "migrate: %s; trying again",
                  err->text);
        clock_pause_ms(RETRY_PAUSE_MS);
        if (!migrate_reconnect(migrate, err))
            return false;
    }
    return true;
}

/* As it was described before the copy. What could be made has its row, and is not made again. */
static bool make_kept(struct migrate *migrate, struct schema_counts *ret_counts) {
    struct error err = {0};
    const bool is_made =
        migrate->schema != NULL && schema_apply_kept(migrate->schema, &migrate->steps, ret_counts, &err);
    if (migrate->schema != NULL && !is_made)
        log_line(LOG_SCHEMA_READ_AGAIN, "migrate: describing both sides again: %s", error_line(&err).text);
    schema_forget(migrate->schema);
    migrate->schema = NULL;
    return is_made;
}

static bool make_stage(struct migrate *migrate, enum schema_stage stage, struct schema_counts *ret_counts,
                       struct error *err) {
    return stage == SCHEMA_BEFORE_COPY
               ? apply_stage(migrate, stage, ret_counts, err)
               : make_kept(migrate, ret_counts) || apply_stage(migrate, stage, ret_counts, err);
}

static bool phase_stage(struct migrate *migrate, const char *step, enum schema_stage stage,
                        struct error *err) {
    struct schema_counts counts = {0};
    struct buffer text AUTO(buffer_release) = {0};
    const char *detail = NULL;
    if (!migrate_begin(migrate, step, err) || !make_stage(migrate, stage, &counts, err) ||
        !put_counts(&counts, &text, &detail, err))
        return false;
    if (stage == SCHEMA_BEFORE_COPY && !phase_plan_again(migrate, err))
        return false;
    if (migrate->problem_count > 0)
        return true;
    log_line(LOG_SCHEMA_MADE, "migrate: %s made, %zu were there, %zu are left out",
             amount_count(counts.made, "object").text, counts.present, counts.left_out);
    return migrate_done(migrate, step, detail, err);
}

bool phase_schema(struct migrate *migrate, struct error *err) {
    return phase_stage(migrate, "schema", SCHEMA_BEFORE_COPY, err);
}

bool phase_indexes(struct migrate *migrate, struct error *err) {
    return phase_stage(migrate, "indexes", SCHEMA_AFTER_COPY, err);
}
