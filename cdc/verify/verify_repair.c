/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_repair.c - plan, reload, wait.
 */
#include "cdc/verify/verify_repair.h"

#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/copy/chunk_add.h"

enum { RELOAD_MS = 60000, LOOK_MS = 300, SAY_MS = 10000 };

/* ---- what to copy ---- */

void verify_repair_count(struct verify_repair *repair, const struct verify *verify) {
    for (size_t i = 0; i < verify->count; i++) {
        const struct verify_table *compared = &verify->tables[i];
        if (compared->result != VERIFY_DIFFERENT)
            continue;
        repair->tables++;
        repair->rows += compared->counts.missing + compared->counts.extra + compared->counts.different;
        for (size_t j = 0; j < compared->range_count; j++)
            repair->ranges += compared->range_differs[j] || compared->ranges == NULL;
    }
}

static struct chunk whole_of(const struct table *table) {
    return (struct chunk){.relation_oid = table->oid,
                          .schema = table->schema,
                          .table = table->name,
                          .bytes_estimate = table->bytes_estimate,
                          .state = CHUNK_DIRTY};
}

static void give_table(const struct verify_table *compared, struct chunk_add *add, struct chunk *chunks) {
    if (compared->ranges == NULL)
        chunks[add->given_count++] = whole_of(compared->table);
    for (size_t j = 0; compared->ranges != NULL && j < compared->range_count; j++) {
        struct chunk *chunk = &chunks[add->given_count++];
        *chunk = compared->ranges[j];
        chunk->state = compared->range_differs[j] ? CHUNK_DIRTY : CHUNK_COPIED;
        chunk->snapshot = compared->range_differs[j] ? NULL : CHUNK_SNAPSHOT_OF_NONE;
    }
}

static bool give_chunks(const struct verify *verify, struct chunk_add *add, struct arena *arena,
                        struct error *err) {
    size_t most = 0, count = 0;
    for (size_t i = 0; i < verify->count; i++)
        most += verify->tables[i].range_count;
    struct chunk *chunks = arena_alloc(arena, (most + 1) * sizeof *chunks);
    struct table *tables = arena_alloc(arena, (verify->count + 1) * sizeof *tables);
    if (chunks == NULL || tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < verify->count; i++) {
        if (verify->tables[i].result != VERIFY_DIFFERENT)
            continue;
        tables[count++] = *verify->tables[i].table;
        give_table(&verify->tables[i], add, chunks);
    }
    add->given = chunks;
    add->tables = (struct table_list){.tables = tables, .count = count};
    return true;
}

/* ---- the engine ---- */

static bool find_engine(const struct verify_repair *repair, int *ret_client, struct error *err) {
    const struct config *part = config_part_of(repair->config, repair->sink);
    return control_connect(part->state, part->name, ret_client, err);
}

static bool tell_engine_again(const struct verify_repair *repair, bool *ret_runs, struct error *err) {
    char answer[CONTROL_LINE_MAX];
    int client = -1;
    if (!find_engine(repair, &client, err))
        return false;
    *ret_runs = client >= 0;
    const bool told = client < 0 || control_ask(client, "reload", RELOAD_MS, repair->stop, answer, err);
    if (client >= 0)
        close(client);
    return told;
}

static bool engine_runs(const struct verify_repair *repair, bool *ret_runs, struct error *err) {
    int client = -1;
    if (!find_engine(repair, &client, err))
        return false;
    *ret_runs = client >= 0;
    if (client >= 0)
        close(client);
    return true;
}

/* How many of the tables' chunks the plan still has. */
static bool count_left(const struct verify_repair *repair, const struct chunk_add *add, size_t *ret_left,
                       struct error *err) {
    struct arena arena;
    struct chunk_plan plan = {0};
    struct sink *handle = sink_new(repair->sink->ops, &repair->sink->sink, repair->stop);
    *ret_left = 0;
    if (handle == NULL)
        return error_no_memory(err);
    arena_init(&arena, 64 * 1024, (size_t) 256 << 20);
    const bool looked = repair->sink->ops->chunk->look(handle, &arena, &plan, err);
    for (size_t i = 0; i < plan.count; i++)
        for (size_t j = 0; j < add->tables.count; j++)
            *ret_left += plan.chunks[i].relation_oid == add->tables.tables[j].oid;
    arena_release(&arena);
    sink_free(handle);
    return looked;
}

/* The plan goes once the stream has passed what the chunks have seen. */
static bool await_copy(const struct verify_repair *repair, const struct chunk_add *add,
                       struct session *source, bool *ret_runs, struct error *err) {
    int64_t said_ms = clock_now_ms();
    for (;;) {
        size_t left = 0;
        bool ready = false;
        if (!count_left(repair, add, &left, err))
            return false;
        if (left == 0)
            return true;
        if (!engine_runs(repair, ret_runs, err))
            return false;
        if (!*ret_runs)
            return true;
        if (!session_wait(source, false, LOOK_MS, &ready, err))
            return false;
        if (clock_now_ms() - said_ms < SAY_MS)
            continue;
        said_ms = clock_now_ms();
        log_line(LOG_REPAIR_WAITS, "waiting for the engine to copy the ranges again");
    }
}

/* The engine may not know the plan yet: the command that stored it was killed before it could tell. */
static bool complete(const struct verify_repair *repair, const struct chunk_add *add, struct verify *verify,
                     bool *ret_done, struct error *err) {
    return tell_engine_again(repair, ret_done, err) &&
           (!*ret_done || await_copy(repair, add, &verify->sides.source, ret_done, err));
}

bool verify_repair_run(struct verify_repair *repair, struct verify *verify, struct arena *arena,
                       bool *ret_done, struct error *err) {
    struct chunk_add add = {.config = repair->config,
                            .stop = repair->stop,
                            .source = &verify->sides.source,
                            .sink = repair->sink,
                            .replaces = true};
    *ret_done = false;
    if (!give_chunks(verify, &add, arena, err) || !chunk_add_store(&add, err))
        return false;
    FAULT_POINT("repair-stored");
    return complete(repair, &add, verify, ret_done, err);
}

size_t verify_repair_count_begun(const struct verify *verify) {
    size_t count = 0;
    for (size_t i = 0; i < verify->count; i++)
        count += verify->tables[i].result == VERIFY_COPYING;
    return count;
}

bool verify_repair_complete(struct verify_repair *repair, struct verify *verify, struct arena *arena,
                            bool *ret_done, struct error *err) {
    struct table *tables = arena_alloc(arena, (verify->count + 1) * sizeof *tables);
    struct chunk_add add = {.tables = {.tables = tables}};
    *ret_done = false;
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < verify->count; i++)
        if (verify->tables[i].result == VERIFY_COPYING)
            tables[add.tables.count++] = *verify->tables[i].table;
    return complete(repair, &add, verify, ret_done, err);
}
