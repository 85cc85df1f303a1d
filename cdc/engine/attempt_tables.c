/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_tables.c - tables that were published while the pipeline existed, with copy.new_tables: copy.
 *
 * They are added to the plan of each sink, as `pgcdc table copy` does, before the attempt streams.
 */
#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/copy/chunk_add.h"
#include "cdc/engine/attempt.h"
#include "cdc/source/catalog_columns.h"
#include "cdc/source/uncopied.h"

enum { BLOCK_BYTES = 64 * 1024, OIDS_BYTES_MAX = 64 * 1024, NAMES_BYTES_MAX = 512 };
#define ARENA_BYTES_MAX ((size_t) 512 << 20)

bool attempt_may_add(const struct attempt *attempt) {
    const struct config *config = attempt->pipeline->config;
    bool can = config->copy.new_tables == NEW_TABLES_COPY && config->source.snapshot == SNAPSHOT_INITIAL &&
               attempt->reader->catalog != NULL && !attempt->facts.identity.is_standby;
    for (size_t i = 0; i < config->sink_count; i++)
        can = can && sink_adds_tables(config->sinks[i].ops);
    return can;
}

void attempt_say_tables(const struct table_list *tables) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = 2 * NAMES_BYTES_MAX};
    for (size_t i = 0; i < tables->count && names.size < NAMES_BYTES_MAX; i++)
        buffer_printf(&names, "%s%s.%s", i > 0 ? ", " : "", tables->tables[i].schema, tables->tables[i].name);
    const char *text = buffer_text(&names);
    log_line(LOG_TABLES_TO_COPY, "copying %s whose older rows no change carries (copy.new_tables): %s%s",
             amount_count(tables->count, "table").text, text != NULL ? text : "?",
             names.size >= NAMES_BYTES_MAX ? ", ..." : "");
}

/* Only published ones among them. */
static bool choose(struct table_list *all, const oid_t *oids, size_t count, struct arena *arena,
                   struct error *err) {
    struct table *tables = arena_alloc(arena, (all->count + 1) * sizeof *tables);
    size_t chosen = 0;
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < all->count; i++)
        for (size_t j = 0; j < count; j++)
            if (all->tables[i].oid == oids[j])
                tables[chosen++] = all->tables[i];
    *all = (struct table_list){.tables = tables, .count = chosen};
    return true;
}

/* Such sinks have tables, so they were asked which of them they lack. */
static bool store_in_tables(struct chunk_add *add, struct error *err) {
    for (size_t i = 0; i < add->config->sink_count; i++) {
        add->sink = &add->config->sinks[i];
        if (uncopied_can_ask(add->sink) && !chunk_add_store(add, err))
            return false;
    }
    return true;
}

/* *ret_added is false when none of them is published, or all are in the plans already. */
static bool add_published(struct attempt *attempt, struct session *source, const oid_t *oids, size_t count,
                          struct arena *arena, bool *ret_added, struct error *err) {
    const struct config *config = attempt->pipeline->config;
    struct chunk_add add = {
        .config = config, .stop = attempt->pipeline->options->stop, .source = source, .replaces = true};
    if (!session_execute(source, "begin isolation level repeatable read read only", err) ||
        !catalog_read_tables(source, config->source.publication_array, arena, &add.tables, err) ||
        !choose(&add.tables, oids, count, arena, err))
        return false;
    if (add.tables.count == 0)
        return session_execute(source, "rollback", err);
    FAULT_POINT("tables-before-add");
    if (!store_in_tables(&add, err) || !session_execute(source, "rollback", err))
        return false;
    FAULT_POINT("tables-added");
    *ret_added = add.chunk_count > 0;
    if (*ret_added)
        attempt_say_tables(&add.tables);
    return true;
}

static bool add_oids(struct attempt *attempt, struct session *source, const oid_t *oids, size_t count,
                     bool *ret_added, struct error *err) {
    struct arena arena;
    *ret_added = false;
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    bool good = add_published(attempt, source, oids, count, &arena, ret_added, err);
    arena_release(&arena);
    return good;
}

/* The source may have written tables anew. */
static bool find_in_sink(const struct attempt *attempt, const struct config_sink *sink,
                         const struct catalog_tables *tables, struct uncopied_found *found,
                         struct error *err) {
    oid_t oids[UNCOPIED_FOUND_MAX];
    size_t count = 0;
    if (sink->ops->chunk == NULL || sink->ops->chunk->find_rewritten == NULL)
        return true;
    struct sink *handle = sink_new(sink->ops, &sink->sink, attempt->pipeline->options->stop);
    if (handle == NULL)
        return error_no_memory(err);
    const bool asked =
        sink->ops->chunk->find_rewritten(handle, tables, oids, UNCOPIED_FOUND_MAX, &count, err);
    sink_free(handle);
    for (size_t i = 0; asked && i < count; i++)
        uncopied_found_add(found, oids[i]);
    return asked;
}

static bool find_rewritten(const struct attempt *attempt, struct arena *arena, struct uncopied_found *found,
                           struct error *err) {
    const struct config *config = attempt->pipeline->config;
    const struct reader *reader = attempt->reader;
    struct catalog_tables tables = {0};
    lsn_t lsn = 0;
    if (!catalog_columns_read(reader->catalog->session, reader->name, 0, arena, &tables, &lsn, err))
        return false;
    for (size_t i = 0; i < config->sink_count; i++)
        if (!find_in_sink(attempt, &config->sinks[i], &tables, found, err))
            return false;
    return true;
}

/* Tables that are copied now are known already. */
static bool find_newcomers(struct attempt *attempt, struct uncopied_found *ret_found, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    const struct config *config = pipeline->config;
    const atomic_bool *stop = pipeline->options->stop;
    struct chunk_plan plans[CHECKPOINT_SINKS_MAX] = {0};
    struct arena arena;
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    *ret_found = (struct uncopied_found){.plans = plans};
    const bool found = (!attempt_is_copying(attempt) || chunk_add_look(config, stop, &arena, plans, err)) &&
                       uncopied_find(config, attempt->reader->catalog->session, stop, ret_found, err) &&
                       find_rewritten(attempt, &arena, ret_found, err);
    ret_found->plans = NULL;
    arena_release(&arena);
    return found;
}

bool attempt_add_newcomers(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    struct uncopied_found found;
    if (pipeline->knows_newcomers || !attempt_may_add(attempt))
        return true;
    struct session *source = attempt->reader->catalog->session;
    if (!find_newcomers(attempt, &found, err))
        return false;
    pipeline->knows_newcomers = true;
    if (found.count == 0)
        return true;
    bool added = false;
    if (!add_oids(attempt, source, found.oids, found.count, &added, err))
        return false;
    for (size_t i = 0; i < attempt->runner_count; i++)
        runner_reload(&attempt->runners[i]);
    return true;
}

bool attempt_add_lacking(struct attempt *attempt, oid_t oid, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    struct session source = {0};
    bool added = false;
    if (!attempt_may_add(attempt))
        return false;
    bool good = source_open(&source, &pipeline->config->source, pipeline->options->stop, err) &&
                add_oids(attempt, &source, &oid, 1, &added, err);
    session_close(&source);
    return good && added;
}
