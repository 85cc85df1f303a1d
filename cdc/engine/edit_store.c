/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit_store.c - through the control socket, a line for each chunk; or with the sink's own functions.
 */
#include "cdc/engine/edit_store.h"

#include <stdio.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/json_writer.h"
#include "cdc/engine/control.h"
#include "cdc/engine/published.h"
#include "cdc/engine/state_lock.h"
#include "cdc/source/slot.h"
#include "sinks/plan_record.h"

enum {
    ANSWER_MS = 60000,
    BLOCK_BYTES = 64 * 1024,
    SLOT_WAIT_MS = 5000, /* the slot of a killed engine is free within moments */
    PAUSE_MS = 50,
};
#define PLAN_BYTES_MAX ((size_t) 256 << 20)

/* ---- the running engine ---- */

static bool ask_engine(const struct edit_store *store, int client, const char *request, struct error *err) {
    char answer[CONTROL_LINE_MAX];
    return control_ask(client, request, ANSWER_MS, store->stop, answer, err);
}

static bool send_chunk(const struct edit_store *store, int client, struct json_writer *json,
                       const struct chunk *chunk, struct error *err) {
    char request[CONTROL_LINE_MAX];
    struct slice value;
    if (!chunk_record_format(json, chunk, &value, err))
        return false;
    const int length = snprintf(request, sizeof request, "chunk %.*s", (int) value.size, value.data);
    if (length < 0 || (size_t) length >= sizeof request)
        return error_set(err, ERROR_CONFIG, "a bound of table %s.%s is too long for the running engine",
                         chunk->schema, chunk->table) ||
               error_remedy(err, "stop the engine, and repeat the command");
    return ask_engine(store, client, request, err);
}

static bool send_edit(const struct edit_store *store, int client, const struct config_sink *sink,
                      const struct chunk_edit *edit, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    char request[256];
    snprintf(request, sizeof request, "edit %s", sink->sink.name);
    if (!json_writer_init(&json, err) || !ask_engine(store, client, request, err))
        return false;
    for (size_t i = 0; i < edit->removed_count; i++) {
        snprintf(request, sizeof request, "remove %u", edit->removed[i]);
        if (!ask_engine(store, client, request, err))
            return false;
    }
    for (size_t i = 0; i < edit->count; i++)
        if (!send_chunk(store, client, &json, &edit->chunks[i], err))
            return false;
    return ask_engine(store, client, "store", err);
}

/* ---- no engine ---- */

static bool refuse_slot(const struct edit_store *store, int pid, struct error *err) {
    error_set(err, ERROR_RUNNING,
              "source: slot %s is in use by the server's pid %d: an engine with another state directory runs "
              "this pipeline",
              store->config->source.slot, pid);
    return error_remedy(err, "run the command where that engine runs, or stop it first");
}

/* Opening the sink would end an engine that another machine runs. */
static bool check_nobody_streams(const struct edit_store *store, struct error *err) {
    const int64_t until_ms = clock_now_ms() + SLOT_WAIT_MS;
    for (;;) {
        struct slot_facts facts = {0};
        if (!slot_read(store->source, store->config->source.slot, &facts, err))
            return false;
        if (!facts.exists || facts.active_pid == 0)
            return true;
        if (atomic_load_explicit(store->stop, memory_order_relaxed))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (clock_now_ms() >= until_ms)
            return refuse_slot(store, facts.active_pid, err);
        clock_pause_ms(PAUSE_MS);
    }
}

static bool store_in(struct sink *sink, const struct chunk_edit *edit, struct error *err) {
    struct arena arena;
    struct chunk_plan plan = {0};
    struct position position = {0}, durable = {0};
    arena_init(&arena, BLOCK_BYTES, PLAN_BYTES_MAX);
    bool stored = sink->ops->open(sink, &position, err);
    if (stored && !position_exists(&position))
        stored = error_set(err, ERROR_CONFIG, "the pipeline has no position in sink %s any more",
                           sink->config->name);
    stored = stored && sink->ops->chunk->load(sink, &arena, &plan, err) &&
             chunk_edit_apply(edit, sink, err) &&
             sink->ops->commit(sink, &position, COMMIT_DURABLE, &durable, err);
    sink->ops->close(sink);
    arena_release(&arena);
    if (stored)
        FAULT_POINT("tables-edit-stored");
    return stored;
}

static bool store_here(const struct edit_store *store, const struct config_sink *config,
                       const struct chunk_edit *edit, struct error *err) {
    struct state_lock lock = {.fd = -1};
    const struct config *part = config_part_of(store->config, config);
    if (!state_lock_take(&lock, part->state, part->name, err))
        return error_remedy(err, "it takes no requests now; repeat the command when it streams, or stop it");
    struct sink *sink = sink_new(config->ops, &config->sink, store->stop);
    bool stored =
        sink != NULL ? check_nobody_streams(store, err) && store_in(sink, edit, err) : error_no_memory(err);
    sink_free(sink);
    state_lock_release(&lock);
    return stored;
}

/* The engine does not take them for tables that appeared by themselves. */
static bool note_tables(const struct config *config, const struct chunk_edit *edit, struct error *err) {
    struct published published;
    if (!published_read(config->state, config->name, &published, err))
        return false;
    bool noted = true;
    for (size_t i = 0; i < edit->count && noted; i++)
        noted = published_note(&published, edit->chunks[i].relation_oid, err);
    noted = noted && published_write(config->state, config->name, &published, err);
    published_release(&published);
    return noted;
}

static bool forget_table(const struct config *config, oid_t relation_oid, struct error *err) {
    struct published published;
    if (!published_read(config->state, config->name, &published, err))
        return false;
    bool forgotten = true;
    if (published_has(&published, relation_oid)) {
        published_forget(&published, relation_oid);
        forgotten = published_write(config->state, config->name, &published, err);
    }
    published_release(&published);
    return forgotten;
}

bool edit_store_forget(const struct edit_store *store, oid_t relation_oid, struct error *err) {
    const struct config *config = store->config;
    for (size_t i = 0; i < config->sink_count; i++)
        if (!forget_table(config_part_of(config, &config->sinks[i]), relation_oid, err))
            return false;
    return true;
}

bool edit_store_deliver(void *context, const struct config_sink *sink, struct chunk_edit *edit,
                        struct error *err) {
    const struct edit_store *store = context;
    const struct config *part = config_part_of(store->config, sink);
    int client = -1;
    bool stored =
        control_connect(part->state, part->name, &client, err) &&
        (client >= 0 ? send_edit(store, client, sink, edit, err) : store_here(store, sink, edit, err));
    stored = stored && note_tables(part, edit, err);
    if (client >= 0)
        close(client);
    chunk_edit_free(edit);
    return stored;
}
