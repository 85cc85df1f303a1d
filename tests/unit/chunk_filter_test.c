/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_filter_test.c - random histories of a source, chunks read under its snapshots, and the stream
 * through the filter: the target gets each row once, and each UPDATE and DELETE meets the version it was
 * made on.
 *
 * The source is a model (model_source.h). The runner and the copiers are models too, which a crash throws
 * back to what was committed in the target. The map and the filter are the real ones.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cdc/copy/chunk_filter.h"
#include "tests/support/model_source.h"

enum {
    /* of three tables: many chunks; many chunks with identity full; one chunk */
    CHUNK_ROWS = 8,
    CHUNKS = 2 * (MODEL_ROWS / CHUNK_ROWS) + 1,
    WORKERS = 2,
    BATCH_MAX = 30,
    TEXT = 24,
    RUNS = 150,
    STEPS = 1500,
};

struct worker {
    struct map_chunk *chunk; /* NULL: idle */
    bool is_reading;
    bool reads_end;
    lsn_t end_lsn;
    char snapshot[MODEL_XIDS_MAX];
    struct model_row rows[MODEL_ROWS];
};

/* What a crash leaves. */
struct durable {
    struct model_rows rows;
    size_t next; /* in the stream */
    lsn_t end_lsn;
    enum chunk_state states[CHUNKS];
    char snapshots[CHUNKS][MODEL_XIDS_MAX];
    uint64_t seen[MODEL_XIDS_MAX * 8];
    size_t seen_count;
    bool is_finished;
};

struct world {
    struct random random;
    struct model_source source;
    struct durable durable;
    char slot_snapshot[MODEL_XIDS_MAX];
    struct chunk chunks[CHUNKS];
    struct chunk_map *map;
    struct chunk_filter *filter;
    struct worker workers[WORKERS];
    /* the runner */
    bool careful;
    struct model_rows rows;
    size_t next, whole_next;
    lsn_t written;
    bool in_transaction, group_is_open;
    uint64_t finishes, waits, resets;
};

static bool chance(struct world *world, uint32_t one_in) {
    return random_below(&world->random, one_in) == 0;
}

/* ---- chunks ---- */

static uint32_t table_of(const struct world *world, const struct chunk *chunk) {
    uint32_t table = 0;
    while (world->source.relations[table]->oid != chunk->relation_oid)
        table++;
    return table;
}

static void range_of(const struct chunk *chunk, uint32_t *ret_low, uint32_t *ret_high) {
    *ret_low = chunk->low != NULL ? (uint32_t) atoi(chunk->low) : 0;
    *ret_high = chunk->high != NULL ? (uint32_t) atoi(chunk->high) : MODEL_ROWS;
}

static void plan(struct world *world) {
    static const char *const BOUNDS[] = {NULL, "8", "16", "24", "32", NULL};
    uint32_t count = 0;
    for (uint32_t table = 0; table < MODEL_TABLES; table++) {
        const struct relation *relation = world->source.relations[table];
        for (uint32_t i = 0; i < (table < 2 ? MODEL_ROWS / CHUNK_ROWS : 1); i++, count++)
            world->chunks[count] = (struct chunk){.id = count + 1,
                                                  .relation_oid = relation->oid,
                                                  .schema = relation->schema.data,
                                                  .table = relation->name.data,
                                                  .column = table < 2 ? "id" : NULL,
                                                  .method = table < 2 ? CHUNK_BY_KEY : CHUNK_WHOLE,
                                                  .column_type = table < 2 ? 20 : 0,
                                                  .key_type = table < 2 ? 20 : 0,
                                                  .low = table < 2 ? BOUNDS[i] : NULL,
                                                  .high = table < 2 ? BOUNDS[i + 1] : NULL};
    }
    cr_assert_eq(count, CHUNKS);
}

/* Map and filter from what is stored, as a new engine makes them. */
static void start_engine(struct world *world) {
    struct durable *durable = &world->durable;
    struct error err = {0};
    for (uint32_t i = 0; i < CHUNKS; i++) {
        world->chunks[i].state = durable->states[i];
        world->chunks[i].snapshot = durable->states[i] == CHUNK_COPIED ? durable->snapshots[i] : NULL;
    }
    const struct chunk_plan stored = {.snapshot = world->slot_snapshot,
                                      .chunks = world->chunks,
                                      .count = CHUNKS,
                                      .seen = durable->seen,
                                      .seen_count = durable->seen_count};
    memset(world->workers, 0, sizeof world->workers);
    world->rows = durable->rows;
    world->next = world->whole_next = durable->next;
    world->written = durable->end_lsn;
    world->in_transaction = world->group_is_open = false;
    if (durable->is_finished)
        return;
    cr_assert(chunk_map_new(&stored, &world->map, &err), "%s", err.text);
    world->filter = chunk_filter_new(world->map, BATCH_MAX);
    cr_assert_not_null(world->filter);
}

static void end_engine(struct world *world) {
    chunk_filter_free(world->filter);
    chunk_map_free(world->map);
    world->filter = NULL;
    world->map = NULL;
}

static bool has_work(const struct chunk_map *map) {
    for (size_t i = 0; i < map->count; i++)
        if (map->chunks[i].state == MAP_CHUNK_WAITING && !map->chunks[i].is_taken && !map->chunks[i].is_held)
            return true;
    return map->copied_count == map->count && !map->end_is_asked;
}

static void take_work(struct world *world, struct worker *worker) {
    struct chunk_map *map = world->map;
    if (!has_work(map))
        return;
    worker->reads_end = chunk_map_take(map, &worker->chunk) == MAP_WORK_END;
    if (worker->reads_end)
        worker->end_lsn = world->source.stream.end_lsn;
}

static void accept_snapshot(struct world *world, struct worker *worker) {
    const uint32_t table = table_of(world, &worker->chunk->chunk);
    struct xid_snapshot snapshot;
    struct error err = {0};
    uint32_t low, high;
    if (world->source.truncaters[table] != 0)
        return; /* it waits for the table's lock */
    model_source_snapshot(&world->source, false, worker->snapshot);
    cr_assert(xid_snapshot_parse(worker->snapshot, &snapshot), "%s", worker->snapshot);
    cr_assert(chunk_map_accept(world->map, worker->chunk, &snapshot, &worker->is_reading, &err));
    xid_snapshot_release(&snapshot);
    range_of(&worker->chunk->chunk, &low, &high);
    memcpy(worker->rows + low, world->source.visible.row[table] + low,
           (high - low) * sizeof(struct model_row));
}

/* Its DELETE sees only what is committed, and its COPY must meet no row. */
static void end_chunk(struct world *world, struct worker *worker) {
    const struct chunk *chunk = &worker->chunk->chunk;
    const uint32_t table = table_of(world, chunk);
    struct durable *durable = &world->durable;
    uint32_t low, high;
    range_of(chunk, &low, &high);
    for (uint32_t id = low; id < high; id++) {
        struct model_row *kept = &durable->rows.row[table][id];
        cr_assert(memcmp(kept, &world->rows.row[table][id], sizeof *kept) == 0,
                  "chunk %u is written while the runner has changed its row %u", chunk->id, id);
        cr_assert(!kept->exists || worker->chunk->is_dirty, "chunk %u was not empty", chunk->id);
        *kept = worker->rows[id];
        world->rows.row[table][id] = worker->rows[id];
    }
    durable->states[chunk->id - 1] = CHUNK_COPIED;
    memcpy(durable->snapshots[chunk->id - 1], worker->snapshot, MODEL_XIDS_MAX);
    chunk_map_end(world->map, worker->chunk);
    *worker = (struct worker){0};
}

static void step_worker(struct world *world) {
    struct worker *worker = &world->workers[random_below(&world->random, WORKERS)];
    if (world->map == NULL)
        return;
    if (worker->reads_end) {
        chunk_map_set_end(world->map, worker->end_lsn);
        *worker = (struct worker){0};
    } else if (worker->chunk == NULL) {
        take_work(world, worker);
    } else if (!worker->is_reading) {
        accept_snapshot(world, worker);
    } else {
        end_chunk(world, worker);
    }
}

/* ---- the runner ---- */

static void commit_group(struct world *world) {
    struct durable *durable = &world->durable;
    struct chunk_note note;
    if (world->filter != NULL && chunk_filter_has_note(world->filter, world->written, &note)) {
        size_t kept = 0;
        for (size_t i = 0; i < durable->seen_count; i++)
            if (durable->seen[i] >= note.seen_below)
                durable->seen[kept++] = durable->seen[i];
        cr_assert_lt(kept + note.seen_count, sizeof durable->seen / sizeof *durable->seen);
        memcpy(durable->seen + kept, note.seen, note.seen_count * sizeof *note.seen);
        durable->seen_count = kept + note.seen_count;
        for (size_t i = 0; i < note.dirty_count; i++)
            durable->states[note.dirty[i] - 1] = CHUNK_DIRTY;
        world->resets += note.dirty_count;
    }
    durable->rows = world->rows;
    durable->next = world->whole_next;
    durable->end_lsn = world->written;
    if (world->filter != NULL)
        chunk_filter_forget_note(world->filter);
    world->group_is_open = false;
}

static uint32_t number_of(const struct value *value) {
    char text[TEXT] = "";
    cr_assert_eq(value->kind, VALUE_TEXT);
    memcpy(text, value->data, value->size);
    return (uint32_t) strtoul(text, NULL, 10);
}

static void apply_row(struct world *world, const struct change *change) {
    uint32_t table = 0;
    struct model_row row = {0};
    while (world->source.relations[table] != change->relation)
        table++;
    struct model_row *rows = world->rows.row[table];
    if (change->kind != CHANGE_INSERT) {
        const uint32_t id =
            number_of(change->old_values != NULL ? &change->old_values[0] : &change->new_values[0]);
        cr_assert(rows[id].exists, "%c of row %u of table %u, which is not there", change->kind, id, table);
        cr_assert(rows[id].n == model_source_met(&world->source, change)->n &&
                      rows[id].body == model_source_met(&world->source, change)->body,
                  "%c of row %u of table %u meets another version", change->kind, id, table);
        row = rows[id];
        rows[id] = (struct model_row){0};
    }
    if (change->kind == CHANGE_DELETE)
        return;
    const uint32_t id = number_of(&change->new_values[0]);
    cr_assert(!rows[id].exists, "%c of row %u of table %u, which is there", change->kind, id, table);
    row.exists = true;
    row.n = number_of(&change->new_values[1]);
    if (change->kind == CHANGE_INSERT || change->new_values[2].kind != VALUE_UNCHANGED)
        row.body = number_of(&change->new_values[2]);
    rows[id] = row;
}

static void apply_truncate(struct world *world, const struct change *change) {
    for (uint32_t i = 0; i < change->relation_count; i++)
        for (uint32_t table = 0; table < MODEL_TABLES; table++)
            if (world->source.relations[table] == change->relations[i])
                memset(world->rows.row[table], 0, sizeof world->rows.row[table]);
}

static void apply(struct world *world, const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct change *change = &changes[i];
        world->group_is_open = true;
        world->in_transaction = change->kind != CHANGE_COMMIT;
        if (change_is_row(change))
            apply_row(world, change);
        else if (change->kind == CHANGE_TRUNCATE)
            apply_truncate(world, change);
        if (change->kind != CHANGE_COMMIT)
            continue;
        world->written = change->end_lsn;
        while (world->source.stream.changes[world->whole_next].kind != CHANGE_COMMIT ||
               world->source.stream.changes[world->whole_next].end_lsn != change->end_lsn)
            world->whole_next++;
        world->whole_next++;
        if (world->careful)
            commit_group(world);
    }
}

/* Each change that is kept brings a definition of its table, so that no older one is told after it. */
static void assert_noted(const struct world *world) {
    for (size_t i = 0; i < world->filter->kept_count; i++) {
        const struct change *change = &world->filter->kept[i];
        if (change_is_row(change))
            cr_assert_geq(chunk_filter_kept_lsn(world->filter, change->relation->oid),
                          change->transaction->commit_lsn);
        for (uint32_t k = 0; change->kind == CHANGE_TRUNCATE && k < change->relation_count; k++)
            cr_assert_geq(chunk_filter_kept_lsn(world->filter, change->relations[k]->oid),
                          change->transaction->commit_lsn);
    }
}

static void take_part(struct world *world, const struct change *changes, size_t count) {
    size_t whole = count;
    while (whole > 0 && changes[whole - 1].kind != CHANGE_COMMIT)
        whole--;
    apply(world, changes, whole);
    if (whole < count && world->group_is_open && !world->in_transaction)
        commit_group(world);
    for (uint32_t i = random_below(&world->random, 8); i > 0 && whole < count; i--)
        step_worker(world);
    apply(world, changes + whole, count - whole);
}

static void step_others(struct world *world) {
    if (chance(world, 2))
        model_source_step(&world->source);
    else
        step_worker(world);
}

static void await_chunk(struct world *world, const struct map_chunk *chunk) {
    if (world->group_is_open && !world->in_transaction)
        commit_group(world);
    world->waits++;
    while (chunk->state == MAP_CHUNK_READING)
        step_worker(world);
}

static void finish_when_passed(struct world *world) {
    if (world->map == NULL || world->in_transaction)
        return;
    const lsn_t end_lsn = chunk_map_end_lsn(world->map);
    if (end_lsn == 0 || world->written < end_lsn)
        return;
    commit_group(world);
    world->durable.is_finished = true;
    world->finishes++;
    memset(world->workers, 0, sizeof world->workers);
    end_engine(world);
}

static void step_runner(struct world *world) {
    const size_t left = world->source.stream.count - world->next;
    size_t count = 1 + random_below(&world->random, BATCH_MAX);
    count = count < left ? count : left;
    while (count > 0) {
        const struct change *changes = world->source.stream.changes + world->next;
        const struct map_chunk *awaited = NULL;
        struct error err = {0};
        size_t taken = count;
        if (world->filter != NULL) {
            cr_assert(chunk_filter_take(world->filter, changes, count, &taken, &awaited, &err), "%s",
                      err.text);
            assert_noted(world);
            take_part(world, world->filter->kept, world->filter->kept_count);
        } else {
            take_part(world, changes, count);
        }
        world->next += taken;
        count -= taken;
        if (awaited != NULL)
            await_chunk(world, awaited);
        else if (chance(world, 3))
            step_others(world);
    }
    if (!world->in_transaction && world->group_is_open && chance(world, 2))
        commit_group(world);
    finish_when_passed(world);
}

/* ---- runs ---- */

/* What has committed before the slot is in its snapshot, and is not streamed. */
static void create_slot(struct world *world) {
    model_source_snapshot(&world->source, true, world->slot_snapshot);
    world->durable.next = world->source.stream.count;
    world->durable.end_lsn = world->source.stream.end_lsn;
}

static void settle(struct world *world) {
    struct model_source *source = &world->source;
    model_source_settle(source);
    while (world->map != NULL || world->next < source->stream.count) {
        step_worker(world);
        step_runner(world);
    }
    for (uint32_t table = 0; table < MODEL_TABLES; table++)
        for (uint32_t id = 0; id < MODEL_ROWS; id++)
            cr_assert(memcmp(&world->rows.row[table][id], &source->current.row[table][id],
                             sizeof(struct model_row)) == 0,
                      "row %u of table %u differs", id, table);
}

static void run(struct world *world, uint64_t seed) {
    *world = (struct world){.random = {.state = seed}};
    world->careful = chance(world, 3);
    model_source_init(&world->source, &world->random);
    create_slot(world);
    plan(world);
    start_engine(world);
    const uint32_t one_worker_in = 2 + random_below(&world->random, 60);
    for (int i = 0; i < STEPS; i++) {
        if (chance(world, 2))
            model_source_step(&world->source);
        else if (chance(world, one_worker_in))
            step_worker(world);
        else if (chance(world, 3))
            step_runner(world);
        if (chance(world, 300)) {
            end_engine(world);
            start_engine(world);
        }
    }
    settle(world);
    end_engine(world);
    change_builder_release(&world->source.stream);
}

Test(chunk_filter, the_target_is_the_source_and_each_change_meets_its_row) {
    struct random random = random_start("chunk_filter");
    struct world *world = malloc(sizeof *world);
    uint64_t finishes = 0, waits = 0, resets = 0;
    cr_assert_not_null(world);
    for (int i = 0; i < RUNS; i++) {
        run(world, random_next(&random));
        finishes += world->finishes;
        waits += world->waits;
        resets += world->resets;
    }
    cr_assert_eq(finishes, RUNS);
    cr_assert_gt(waits, RUNS / 10, "only %" PRIu64 " waits for a chunk", waits);
    cr_assert_gt(resets, RUNS / 10, "only %" PRIu64 " chunks were copied again", resets);
    free(world);
}

/*
 * Two chunks of a table, with the bound 10, copied under snapshots of which only the first one sees
 * transaction 105.
 */
static struct chunk_map *map_of_two(const struct relation *relation) {
    const struct chunk chunks[] = {{.id = 1,
                                    .relation_oid = relation->oid,
                                    .schema = "public",
                                    .table = "t",
                                    .column = "id",
                                    .method = CHUNK_BY_KEY,
                                    .column_type = 20,
                                    .key_type = 20,
                                    .high = "10",
                                    .state = CHUNK_COPIED,
                                    .snapshot = "110:110:"},
                                   {.id = 2,
                                    .relation_oid = relation->oid,
                                    .schema = "public",
                                    .table = "t",
                                    .column = "id",
                                    .method = CHUNK_BY_KEY,
                                    .column_type = 20,
                                    .key_type = 20,
                                    .low = "10",
                                    .state = CHUNK_COPIED,
                                    .snapshot = "105:105:"}};
    const struct chunk_plan two = {.snapshot = "100:100:", .chunks = chunks, .count = 2};
    struct chunk_map *map = NULL;
    struct error err = {0};
    cr_assert(chunk_map_new(&two, &map, &err), "%s", err.text);
    return map;
}

/*
 * The runner commits what is before an incomplete transaction. If that note had the chunk that the
 * incomplete one made dirty, a copier could replace its rows: its DELETE would not see the row that the
 * transaction has inserted, and its COPY would insert it again.
 */
Test(chunk_filter, a_chunk_is_not_dirty_before_its_transaction_is_committed) {
    struct change_builder builder;
    struct chunk_note note;
    struct error err = {0};
    const struct map_chunk *awaited;
    size_t taken;
    change_builder_init(&builder);
    const struct relation *t =
        change_builder_relation(&builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, n text, body text");
    change_builder_begin(&builder);
    builder.transaction->xid = 104;
    change_builder_commit(&builder);
    const lsn_t before = builder.end_lsn;
    change_builder_begin(&builder);
    builder.transaction->xid = 105;
    change_builder_insert(&builder, t, ROW("12", "n", "b"));
    change_builder_update(&builder, t, ROW("3", NULL, NULL), ROW("13", "n", UNCHANGED_TEXT));
    struct chunk_map *map = map_of_two(t);
    struct chunk_filter *filter = chunk_filter_new(map, BATCH_MAX);
    cr_assert(chunk_filter_take(filter, builder.changes, builder.count, &taken, &awaited, &err));
    cr_assert_eq(filter->kept_count, 4, "two Begins, a Commit, the INSERT");
    cr_assert(chunk_filter_has_note(filter, before, &note));
    cr_assert_eq(note.dirty_count, 0);
    chunk_filter_forget_note(filter);
    cr_assert(map->chunks[1].is_held);
    change_builder_commit(&builder);
    cr_assert(chunk_filter_has_note(filter, builder.end_lsn, &note));
    cr_assert_eq(note.dirty_count, 1);
    cr_assert_eq(note.dirty[0], 2);
    chunk_filter_forget_note(filter);
    cr_assert_not(map->chunks[1].is_held);
    cr_assert_not(chunk_filter_has_note(filter, builder.end_lsn, &note));
    chunk_filter_free(filter);
    chunk_map_free(map);
    change_builder_release(&builder);
}
