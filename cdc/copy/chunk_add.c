/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_add.c - plans the tables at the source, and stores the chunks sink by sink.
 */
#include "cdc/copy/chunk_add.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/start_over.h"
#include "cdc/copy/chunk_plan.h"
#include "cdc/copy/chunk_where.h"
#include "cdc/copy/copiers.h"
#include "cdc/copy/lost_table.h"
#include "cdc/source/uncopied.h"
#include "sinks/mapping/mapped_tables.h"

enum { BLOCK_BYTES = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 256 << 20)

/* One sink. */
struct adding {
    struct chunk_add *add;
    const struct config_sink *sink;
    struct sink *handle;
    struct arena arena;
    struct table *tables; /* those without chunks */
    size_t count;
    struct chunk *chunks;
    size_t chunk_count;
    struct session target; /* for the condition */
    bool is_relayed;
};

static bool refuse_type(const struct config_sink *sink, struct error *err) {
    if (sink->ops->chunk == NULL)
        return error_set(err, ERROR_CONFIG,
                         "sink %s: a sink of type %s takes no copy while changes are applied",
                         sink->sink.name, sink->ops->type);
    error_set(err, ERROR_CONFIG, "sink %s: a sink of type %s takes no table after its first copy",
              sink->sink.name, sink->ops->type);
    return error_remedy(err, START_OVER);
}

static struct sink *handle_of(const struct config_sink *sink, const atomic_bool *stop, struct error *err) {
    struct sink *handle = NULL;
    if (sink->ops->chunk == NULL)
        refuse_type(sink, err);
    else if ((handle = sink_new(sink->ops, &sink->sink, stop)) == NULL)
        error_no_memory(err);
    return handle;
}

/* ---- which tables ---- */

static bool is_unsent(const struct chunk_add *add, oid_t oid) {
    for (size_t i = 0; i < add->unsent_count; i++)
        if (add->unsent[i] == oid)
            return true;
    return false;
}

static bool is_among(const struct table_list *list, oid_t oid) {
    for (size_t i = 0; i < list->count; i++)
        if (list->tables[i].oid == oid)
            return true;
    return false;
}

/* A table that is published already is not added to a sink that appends: it was, or is copied again. */
static bool is_chosen(const struct adding *adding, const struct chunk_plan *present, oid_t oid) {
    return !chunk_plan_has(present, oid) &&
           (!adding->is_relayed || adding->add->replaces || is_unsent(adding->add, oid));
}

/* The copy makes it anew. Of a part of its rows no copy is wanted then. */
static bool forget_lost(const struct adding *adding, const struct chunk_plan *present,
                        const struct table *table, bool *ret_lost, struct error *err) {
    const struct chunk_add *add = adding->add;
    *ret_lost = false;
    return !chunk_plan_has(present, table->oid) || adding->is_relayed || !add->replaces ||
           add->where_sql != NULL ||
           lost_table_forget(adding->sink, adding->handle, table, add->stop, ret_lost, err);
}

static bool choose_tables(struct adding *adding, struct error *err) {
    const struct table_list *list = &adding->add->tables;
    struct chunk_plan present = {0};
    struct sink_view view = {0};
    if (!adding->sink->ops->admin->look(adding->handle, &view, err) ||
        !adding->sink->ops->chunk->look(adding->handle, &adding->arena, &present, err))
        return false;
    if (!position_exists(&view.position)) {
        error_set(err, ERROR_CONFIG, "the pipeline has no position in sink %s yet", adding->sink->sink.name);
        return error_remedy(err, "run it first: its first run copies all tables");
    }
    adding->tables = arena_alloc(&adding->arena, (list->count + 1) * sizeof *adding->tables);
    if (adding->tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        bool is_lost = false;
        if (!forget_lost(adding, &present, &list->tables[i], &is_lost, err))
            return false;
        if (is_lost || is_chosen(adding, &present, list->tables[i].oid))
            adding->tables[adding->count++] = list->tables[i];
        else if (chunk_plan_has(&present, list->tables[i].oid) && adding->add->left_out != NULL)
            adding->add->left_out(adding->sink, &list->tables[i]);
    }
    return true;
}

/* ---- the condition ---- */

static const struct table *table_of(const struct adding *adding, oid_t oid) {
    for (size_t i = 0; i < adding->count; i++)
        if (adding->tables[i].oid == oid)
            return &adding->tables[i];
    return NULL;
}

/* A sink that appends has no table to ask. */
static bool open_target(struct adding *adding, struct error *err) {
    struct session_options options = {.stop = adding->add->stop};
    if (adding->is_relayed)
        return true;
    adding->sink->ops->admin->target(&adding->sink->sink, &options);
    return session_open(&adding->target, &options, err);
}

/* All other chunks of the table stay as they are: each change of them applies. */
static bool keep_chunks(struct adding *adding, struct error *err) {
    struct chunk_where where = {.where_sql = adding->add->where_sql,
                                .sink = &adding->sink->sink,
                                .source = adding->add->source,
                                .target = adding->is_relayed ? NULL : &adding->target,
                                .arena = &adding->arena};
    if (!open_target(adding, err))
        return false;
    for (size_t i = 0; i < adding->chunk_count; i++) {
        struct chunk *chunk = &adding->chunks[i];
        bool some = false;
        if (!chunk_where_ask(&where, table_of(adding, chunk->relation_oid), chunk, &some, err))
            return false;
        if (some)
            continue;
        chunk->state = CHUNK_COPIED;
        chunk->snapshot = CHUNK_SNAPSHOT_OF_NONE;
    }
    return true;
}

/* ---- one sink ---- */

static void set_state(const struct adding *adding, struct chunk *chunk) {
    chunk->is_added = true;
    chunk->state = adding->add->replaces ? CHUNK_DIRTY : CHUNK_WAITS;
    if (!adding->is_relayed)
        return;
    const bool has_key = table_has_message_key(table_of(adding, chunk->relation_oid));
    chunk->state = has_key ? CHUNK_DIRTY : CHUNK_WAITS;
    chunk->snapshot = has_key ? CHUNK_SNAPSHOT_REPEATED : NULL;
}

static bool plan(struct adding *adding, struct error *err) {
    const struct table_list list = {.tables = adding->tables, .count = adding->count};
    struct chunk_plan made = {0};
    const struct chunk_plan_terms terms = {.snapshot = CHUNK_SNAPSHOT_OF_NONE,
                                           .chunk_bytes =
                                               copiers_chunk_bytes(adding->add->config, adding->sink->ops),
                                           .replaces = adding->add->replaces && !adding->is_relayed,
                                           .by_key_only = adding->is_relayed};
    if (!chunk_plan_make(adding->add->source, &terms, &list, &adding->arena, &made, err))
        return false;
    adding->chunks = arena_alloc(&adding->arena, (made.count + 1) * sizeof *adding->chunks);
    if (adding->chunks == NULL)
        return error_no_memory(err);
    memcpy(adding->chunks, made.chunks, made.count * sizeof *adding->chunks);
    adding->chunk_count = made.count;
    for (size_t i = 0; i < made.count; i++)
        set_state(adding, &adding->chunks[i]);
    return adding->add->where_sql == NULL || keep_chunks(adding, err);
}

/* A table that the sink takes only as a whole is one chunk. */
static bool take_given(struct adding *adding, struct error *err) {
    const struct chunk_add *add = adding->add;
    adding->chunks = arena_alloc(&adding->arena, (add->given_count + 1) * sizeof *adding->chunks);
    if (adding->chunks == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < add->given_count; i++) {
        struct chunk chunk = add->given[i];
        const struct table *table = table_of(adding, chunk.relation_oid);
        if (table == NULL || (!table->sink_takes_parts && adding->chunk_count > 0 &&
                              adding->chunks[adding->chunk_count - 1].relation_oid == table->oid))
            continue;
        if (!table->sink_takes_parts)
            chunk = (struct chunk){.relation_oid = table->oid,
                                   .schema = table->schema,
                                   .table = table->name,
                                   .bytes_estimate = table->bytes_estimate,
                                   .state = CHUNK_DIRTY};
        chunk.is_added = true;
        adding->chunks[adding->chunk_count++] = chunk;
    }
    return true;
}

static bool store_in_tables(struct adding *adding, struct error *err) {
    const struct sink_chunk_ops *ops = adding->sink->ops->chunk;
    return ops->add_begin(adding->handle, adding->tables, adding->count, adding->add->replaces, err) &&
           (adding->add->given != NULL ? take_given(adding, err) : plan(adding, err)) &&
           ops->add(adding->handle, adding->chunks, adding->chunk_count, err);
}

/* ---- a sink with one writer ---- */

static void prepare_appended(struct adding *adding) {
    for (size_t i = 0; i < adding->count; i++)
        adding->tables[i].sink_takes_parts = true;
}

static bool hand_over(struct adding *adding, struct error *err) {
    struct chunk_edit *edit = chunk_edit_new();
    assert(adding->add->deliver != NULL);
    if (edit == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < adding->chunk_count; i++)
        if (!chunk_edit_add(edit, &adding->chunks[i], err)) {
            chunk_edit_free(edit);
            return false;
        }
    return adding->add->deliver(adding->add->context, adding->sink, edit, err);
}

static bool store_appended(struct adding *adding, struct error *err) {
    prepare_appended(adding);
    if (!plan(adding, err) || !hand_over(adding, err))
        return false;
    adding->add->appends = true;
    return true;
}

static bool store(struct adding *adding, struct error *err) {
    if (!choose_tables(adding, err))
        return false;
    if (adding->count == 0)
        return true;
    if (!(adding->is_relayed ? store_appended(adding, err) : store_in_tables(adding, err)))
        return false;
    for (size_t i = 0; i < adding->chunk_count; i++)
        adding->add->chunk_count += adding->chunks[i].state != CHUNK_COPIED;
    return true;
}

/* A table that became another one's in the sink would remove that one's rows. */
static bool check_names(struct adding *adding, struct error *err) {
    const struct chunk_add *add = adding->add;
    const struct sink_config *sink = &adding->sink->sink;
    struct mapped_tables mapped AUTO(mapped_tables_release);
    struct table_list all = {0};
    size_t count = 0;
    mapped_tables_init(&mapped);
    if (!catalog_read_tables(add->source, add->config->source.publication_array, &adding->arena, &all, err))
        return false;
    struct table *tables = arena_alloc(&adding->arena, (all.count + add->tables.count + 1) * sizeof *tables);
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < add->tables.count; i++)
        tables[count++] = add->tables.tables[i];
    for (size_t i = 0; i < all.count; i++)
        if (config_takes_table(&add->config->source, all.tables[i].schema, all.tables[i].name) &&
            !is_among(&add->tables, all.tables[i].oid))
            tables[count++] = all.tables[i];
    return mapped_tables_make(&mapped, sink->mapping, sink->name, tables, count, NULL, err);
}

static bool store_in_sink(struct chunk_add *add, const struct config_sink *sink, struct error *err) {
    struct adding adding = {.add = add,
                            .sink = sink,
                            .handle = handle_of(sink, add->stop, err),
                            .is_relayed = sink_is_relayed(sink->ops)};
    if (adding.handle == NULL)
        return false;
    arena_init(&adding.arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    bool stored = ((sink->sink.mapping == NULL || check_names(&adding, err)) && store(&adding, err)) ||
                  error_wrap(err, "sink %s", sink->sink.name);
    session_close(&adding.target);
    if (!adding.is_relayed)
        sink->ops->close(adding.handle);
    sink_free(adding.handle);
    arena_release(&adding.arena);
    return stored;
}

/* ---- all sinks ---- */

static bool takes(const struct chunk_add *add, size_t sink) {
    return add->sink == NULL || add->sink == &add->config->sinks[sink];
}

/* Before anything is stored in another sink. */
static bool check_appended(const struct chunk_add *add, struct error *err) {
    for (size_t i = 0; i < add->tables.count && add->replaces; i++) {
        const struct table *table = &add->tables.tables[i];
        if (table_has_message_key(table))
            continue;
        error_set(err, ERROR_CONFIG,
                  "the messages of table %s.%s have no key, so consumers could not tell its rows from those "
                  "that they have",
                  table->schema, table->name);
        return error_remedy(err, UNCOPIED_KEYLESS_REMEDY);
    }
    return true;
}

static bool refuse_held(const struct table *table, const struct sink_held *held, struct error *err) {
    error_set(
        err, ERROR_CONFIG,
        "topic %s holds records, and the messages of table %s.%s have no key, so consumers could not tell "
        "its rows from those that they have",
        held->name, table->schema, table->name);
    return error_remedy(err,
                        "delete the topic, which takes the records of other tables in it along, and repeat "
                        "the command; or give the table a primary key first");
}

/* Of a table that was taken out of the publication consumers may have rows. */
static bool check_held(const struct chunk_add *add, const struct config_sink *sink, struct error *err) {
    struct arena arena;
    struct chunk_plan present = {0};
    struct sink *handle = handle_of(sink, add->stop, err);
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    bool good = handle != NULL && sink->ops->chunk->look(handle, &arena, &present, err);
    for (size_t i = 0; i < add->tables.count && good; i++) {
        const struct table *table = &add->tables.tables[i];
        struct sink_held held = {0};
        if (table_has_message_key(table) || !is_unsent(add, table->oid) ||
            chunk_plan_has(&present, table->oid))
            continue;
        good = sink->ops->admin->find_held(handle, table, 1, &held, err) &&
               (held.count == 0 || refuse_held(table, &held, err));
    }
    sink_free(handle);
    arena_release(&arena);
    return good;
}

static bool asks_held(const struct chunk_add *add, const struct config_sink *sink) {
    for (size_t i = 0; i < add->tables.count && sink_admin(sink->ops, find_held) != NULL; i++)
        if (!table_has_message_key(&add->tables.tables[i]) && is_unsent(add, add->tables.tables[i].oid))
            return true;
    return false;
}

bool chunk_add_store(struct chunk_add *add, struct error *err) {
    for (size_t i = 0; i < add->config->sink_count; i++) {
        const struct config_sink *sink = &add->config->sinks[i];
        if (takes(add, i) && !sink_adds_tables(sink->ops))
            return refuse_type(sink, err);
        if (takes(add, i) && sink_is_relayed(sink->ops) &&
            (!check_appended(add, err) || (asks_held(add, sink) && !check_held(add, sink, err))))
            return error_wrap(err, "sink %s", sink->sink.name);
    }
    for (size_t i = 0; i < add->config->sink_count; i++)
        if (takes(add, i) && !store_in_sink(add, &add->config->sinks[i], err))
            return false;
    return true;
}

static bool remove_appended(const struct chunk_add *add, const struct config_sink *sink, oid_t relation_oid,
                            struct error *err) {
    struct arena arena;
    struct chunk_plan present = {0};
    struct sink *handle = handle_of(sink, add->stop, err);
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    bool good = handle != NULL && sink->ops->chunk->look(handle, &arena, &present, err);
    const bool is_planned = good && chunk_plan_has(&present, relation_oid);
    sink_free(handle);
    arena_release(&arena);
    if (!is_planned)
        return good;
    struct chunk_edit *edit = chunk_edit_new();
    if (edit == NULL)
        return error_no_memory(err);
    if (!chunk_edit_remove(edit, relation_oid, err)) {
        chunk_edit_free(edit);
        return false;
    }
    return add->deliver(add->context, sink, edit, err);
}

static bool remove_from(const struct chunk_add *add, const struct config_sink *sink, oid_t relation_oid,
                        struct error *err) {
    struct sink *handle = handle_of(sink, add->stop, err);
    const bool removed = handle != NULL && sink->ops->chunk->remove(handle, relation_oid, err);
    sink_free(handle);
    return removed;
}

bool chunk_add_remove(const struct chunk_add *add, oid_t relation_oid, struct error *err) {
    bool removed = true;
    for (size_t i = 0; i < add->config->sink_count && removed; i++) {
        const struct config_sink *sink = &add->config->sinks[i];
        if (sink_is_relayed(sink->ops) && sink_adds_tables(sink->ops))
            removed = remove_appended(add, sink, relation_oid, err);
        else if (sink_adds_tables(sink->ops))
            removed = remove_from(add, sink, relation_oid, err);
    }
    return removed;
}

bool chunk_add_look(const struct config *config, const atomic_bool *stop, struct arena *arena,
                    struct chunk_plan *ret_plans, struct error *err) {
    bool looked = true;
    for (size_t i = 0; i < config->sink_count && looked; i++) {
        const struct config_sink *sink = &config->sinks[i];
        ret_plans[i] = (struct chunk_plan){0};
        if (sink->ops->chunk == NULL)
            continue;
        struct sink *handle = handle_of(sink, stop, err);
        looked = handle != NULL && sink->ops->chunk->look(handle, arena, &ret_plans[i], err);
        sink_free(handle);
    }
    return looked;
}
