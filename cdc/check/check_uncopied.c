/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_uncopied.c - tables whose old rows a sink lacks, in a pipeline that continues and copies no rows.
 */
#include "cdc/base/buffer.h"
#include "cdc/check/check.h"
#include "cdc/source/uncopied.h"

static bool is_being_copied(const struct chunk_plan *plan, const struct table *table) {
    for (size_t i = 0; i < plan->count; i++)
        if (plan->chunks[i].relation_oid == table->oid)
            return true;
    return false;
}

/* The next start of the pipeline, or the running engine, copies the table. */
static void note_uncopied(struct check *check, const char *name) {
    findings_add(
        &check->findings, SEVERITY_NOTE, "target_old_rows",
        "table %s has rows that are older than its publication, and the target lacks them: run copies them "
        "(copy.new_tables)",
        name);
    findings_object(&check->findings, name);
}

static void add_uncopied(struct check *check, const struct table *table, const char *name) {
    struct buffer remedy AUTO(buffer_release) = {.bytes_max = ERROR_REMEDY_MAX};
    findings_add(&check->findings, SEVERITY_PROBLEM, "target_old_rows", "table %s " UNCOPIED_TEXT, name);
    uncopied_append_remedy(&remedy, check->config, &check->source, table);
    findings_fix(&check->findings, "%s", buffer_text(&remedy) != NULL ? remedy.data : UNCOPIED_REMEDY);
    findings_object(&check->findings, name);
}

static bool check_uncopied_table(struct check *check, const struct config_sink *sink, struct session *target,
                                 const struct table *table, struct error *err) {
    bool lacks = false;
    struct uncopied_question question = {.source = &check->source,
                                         .target = target,
                                         .sink = &sink->sink,
                                         .publications = check->config->source.publication_array};
    if (!uncopied_look(&question, table, &lacks, err))
        return false;
    if (!lacks)
        return true;
    const char *name = check_name(check, table->schema, table->name);
    if (check->config->copy.new_tables == NEW_TABLES_COPY)
        note_uncopied(check, name);
    else
        add_uncopied(check, table, name);
    return true;
}

/* The tables of a copy that goes on. */
static bool read_plan(struct check *check, const struct config_sink *sink, struct chunk_plan *ret_plan,
                      struct error *err) {
    if (sink->ops->chunk == NULL)
        return true;
    struct sink *handle = sink_new(sink->ops, &sink->sink, check->stop);
    bool looked =
        handle != NULL ? sink->ops->chunk->look(handle, &check->arena, ret_plan, err) : error_no_memory(err);
    sink_free(handle);
    return looked;
}

bool check_uncopied(struct check *check, const struct config_sink *sink, struct session *target,
                    struct error *err) {
    struct chunk_plan plan = {0};
    if (!check->has_action || check->action != START_STREAM ||
        check->config->copy.new_tables == NEW_TABLES_STREAM ||
        check->config->source.snapshot != SNAPSHOT_INITIAL || !uncopied_matters(sink))
        return true;
    if (!read_plan(check, sink, &plan, err))
        return false;
    for (size_t i = 0; check->has_tables && i < check->tables.count; i++) {
        const struct table *table = &check->tables.tables[i];
        if (!is_being_copied(&plan, table) && !check_uncopied_table(check, sink, target, table, err))
            return false;
    }
    return true;
}
