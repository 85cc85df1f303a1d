/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_published.c - tables that were published while the pipeline existed, for sinks that append.
 *
 * Such a sink cannot be asked which rows it has, so NAME.published says which tables were published when last
 * looked. A newer one with older rows is copied, as `pgcdc table copy` does; or stops the pipeline, as
 * copy.new_tables says. The file follows once the plan is stored: a kill in between only copies again.
 */
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/copy/chunk_add.h"
#include "cdc/engine/attempt.h"

enum { BLOCK_BYTES = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 512 << 20)

static bool appends(const struct config_sink *sink) {
    return sink_is_relayed(sink->ops) && sink_adds_tables(sink->ops);
}

bool attempt_watches_published(const struct config *config) {
    bool some = false;
    for (size_t i = 0; i < config->sink_count; i++)
        some |= appends(&config->sinks[i]);
    return some && uncopied_wants_rows(config);
}

static bool matters(const struct attempt *attempt) {
    return attempt_watches_published(attempt->pipeline->config) && attempt->reader->catalog != NULL &&
           !attempt->facts.identity.is_standby;
}

static bool published_save(const struct attempt *attempt, struct error *err) {
    const struct config *config = attempt->pipeline->config;
    return published_write(config->state, config->name, &attempt->published, err);
}

/* Transactions that are open now end before the slot is there, so the copy has what they publish. */
bool attempt_note_published(struct attempt *attempt, struct error *err) {
    static const struct xid_snapshot NONE = {0};
    struct uncopied_published found;
    if (!matters(attempt))
        return true;
    if (!uncopied_find_published(attempt->pipeline->config, attempt->reader->catalog->session, &NONE, NULL,
                                 &found, err))
        return false;
    attempt->published.snapshot = found.now;
    return published_save(attempt, err);
}

/* ---- the tables ---- */

/* In each sink that appends. */
static bool is_planned(const struct config *config, const struct chunk_plan *plans, oid_t oid) {
    bool is_planned = true;
    for (size_t i = 0; i < config->sink_count; i++)
        is_planned = is_planned && (!appends(&config->sinks[i]) || chunk_plan_has(&plans[i], oid));
    return is_planned;
}

static bool note_tables(struct published *published, const struct table_list *tables, struct error *err) {
    for (size_t i = 0; i < tables->count; i++)
        if (!published_note(published, tables->tables[i].oid, err))
            return false;
    return true;
}

/* A command may have planned them since: they are known. */
static bool leave_out_known(struct attempt *attempt, struct arena *arena, struct table_list *tables,
                            struct error *err) {
    const struct config *config = attempt->pipeline->config;
    struct chunk_plan plans[CHECKPOINT_SINKS_MAX];
    struct table *kept = arena_alloc(arena, (tables->count + 1) * sizeof *kept);
    size_t count = 0;
    if (kept == NULL)
        return error_no_memory(err);
    if (!chunk_add_look(config, attempt->pipeline->options->stop, arena, plans, err))
        return false;
    for (size_t i = 0; i < tables->count; i++) {
        const oid_t oid = tables->tables[i].oid;
        if (published_has(&attempt->published, oid))
            continue;
        if (!is_planned(config, plans, oid))
            kept[count++] = tables->tables[i];
        else if (!published_note(&attempt->published, oid, err))
            return false;
    }
    *tables = (struct table_list){.tables = kept, .count = count};
    return true;
}

static bool leave_out_keyless(struct arena *arena, struct table_list *tables, struct error *err) {
    struct table *kept = arena_alloc(arena, (tables->count + 1) * sizeof *kept);
    size_t count = 0;
    if (kept == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < tables->count; i++) {
        const struct table *table = &tables->tables[i];
        if (table_has_message_key(table))
            kept[count++] = *table;
        else
            log_about(
                LOG_TABLE_NOT_COPIED, &(struct log_subject){.schema = table->schema, .table = table->name},
                "table %s.%s was published, and its older rows are not copied: its messages have no key, "
                "so consumers could not tell the rows from those that they have; to copy "
                "them, " UNCOPIED_KEYLESS_REMEDY,
                table->schema, table->name);
    }
    *tables = (struct table_list){.tables = kept, .count = count};
    return true;
}

static bool give_to_runner(void *context, const struct config_sink *sink, struct chunk_edit *edit,
                           struct error *err) {
    struct attempt *attempt = context;
    (void) err;
    runner_edit(&attempt->runners[sink - attempt->pipeline->config->sinks], edit);
    return true;
}

static bool plan_tables(struct attempt *attempt, const struct table_list *tables, struct error *err) {
    const struct config *config = attempt->pipeline->config;
    struct chunk_add add = {.config = config,
                            .stop = attempt->pipeline->options->stop,
                            .source = attempt->reader->catalog->session,
                            .tables = *tables,
                            .replaces = true,
                            .deliver = give_to_runner,
                            .context = attempt};
    FAULT_POINT("tables-before-add");
    for (size_t i = 0; i < config->sink_count; i++) {
        add.sink = &config->sinks[i];
        if (appends(add.sink) && !chunk_add_store(&add, err))
            return false;
    }
    attempt_say_tables(tables);
    return true;
}

/* ---- looking ---- */

static bool take_found(struct attempt *attempt, struct arena *arena, struct uncopied_published *found,
                       struct error *err) {
    const struct config *config = attempt->pipeline->config;
    if (!leave_out_known(attempt, arena, &found->tables, err))
        return false;
    if (found->tables.count == 0)
        return true;
    if (config->copy.new_tables == NEW_TABLES_STOP)
        return uncopied_refuse_published(config, &found->tables.tables[0], err);
    return note_tables(&attempt->published, &found->tables, err) &&
           leave_out_keyless(arena, &found->tables, err) &&
           (found->tables.count == 0 || plan_tables(attempt, &found->tables, err));
}

static bool look(struct attempt *attempt, struct arena *arena, struct error *err) {
    const struct config *config = attempt->pipeline->config;
    struct session *source = attempt->reader->catalog->session;
    struct published *published = &attempt->published;
    struct uncopied_published found = {0};
    if (!published_read(config->state, config->name, published, err) ||
        !session_execute(source, "begin isolation level repeatable read read only", err) ||
        !uncopied_find_published(config, source, &published->snapshot, arena, &found, err))
        return false;
    const bool taken = found.tables.count == 0 || take_found(attempt, arena, &found, err);
    if (taken && found.now.xmax != 0) {
        xid_snapshot_release(&published->snapshot);
        published->snapshot = found.now;
    } else {
        xid_snapshot_release(&found.now);
    }
    return taken && session_execute(source, "rollback", err);
}

bool attempt_add_published(struct attempt *attempt, struct error *err) {
    struct arena arena;
    if (attempt->pipeline->knows_published || !matters(attempt))
        return true;
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    const bool looked = look(attempt, &arena, err);
    arena_release(&arena);
    attempt->keeps_published = looked;
    return looked;
}

void attempt_keep_published(struct attempt *attempt) {
    struct error ignored = {0};
    if (!attempt->keeps_published)
        return;
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (!runner_has_reloaded(&attempt->runners[i]))
            return;
    attempt->keeps_published = false;
    attempt->pipeline->knows_published = true;
    if (!published_save(attempt, &ignored))
        log_line(LOG_PUBLISHED_NOT_STORED, "which tables are published cannot be stored: %s", ignored.text);
}
