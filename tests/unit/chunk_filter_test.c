/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_filter_test.c - random histories of a source, chunks read under its snapshots, and the stream
 * through the filter: the target gets each row once, and each UPDATE and DELETE meets the version it was
 * made on.
 *
 * The source is a model with what matters of PostgreSQL: a transaction gets its xid when it begins, writes
 * to the stream when it commits, is visible only some time later (a commit may wait for a standby), and
 * until then no other transaction can change its rows. The runner and the copiers are models too, which a
 * crash throws back to what was committed in the target. The map and the filter are the real ones.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cdc/copy/chunk_filter.h"
#include "tests/support/change_builder.h"
#include "tests/support/random.h"

enum {
    TABLES = 3, /* many chunks; many chunks with identity full; one chunk */
    ROWS = 40,
    CHUNK_ROWS = 8,
    CHUNKS = 2 * (ROWS / CHUNK_ROWS) + 1,
    XIDS_MAX = 4000,
    CHANGES_MAX = 40000,
    WORKERS = 2,
    BATCH_MAX = 30,
    TEXT = 24,
    RUNS = 150,
    STEPS = 1500,
};

#define XID_BASE (((uint64_t) 7 << 32) + 4294967200u) /* the stream's 32 bits wrap soon */

enum xid_state { XID_UNUSED, XID_OPEN, XID_HANGS, XID_VISIBLE, XID_ABORTED };

/* Without padding: rows are compared by their bytes. */
struct row {
    uint32_t exists;
    uint32_t n, body; /* the versions that wrote them */
};

struct rows {
    struct row row[TABLES][ROWS];
};

struct source {
    struct change_builder stream;
    const struct relation *relations[TABLES];
    struct row met[CHANGES_MAX]; /* the version that a change was made on */
    size_t first[XIDS_MAX];      /* a transaction's Begin in the stream */
    enum xid_state xids[XIDS_MAX];
    uint32_t xid_count;
    uint32_t version;
    struct rows current, visible;
    uint32_t writers[TABLES][ROWS]; /* whose change of it is not visible yet; 0: none */
    uint32_t truncaters[TABLES];
};

struct worker {
    struct map_chunk *chunk; /* NULL: idle */
    bool is_reading;
    bool reads_end;
    lsn_t end_lsn;
    char snapshot[XIDS_MAX];
    struct row rows[ROWS];
};

/* What a crash leaves. */
struct durable {
    struct rows rows;
    size_t next; /* in the stream */
    lsn_t end_lsn;
    enum chunk_state states[CHUNKS];
    char snapshots[CHUNKS][XIDS_MAX];
    uint64_t seen[XIDS_MAX * 8];
    size_t seen_count;
    bool is_finished;
};

struct world {
    struct random random;
    struct source source;
    struct durable durable;
    char slot_snapshot[XIDS_MAX];
    struct chunk chunks[CHUNKS];
    struct chunk_map *map;
    struct chunk_filter *filter;
    struct worker workers[WORKERS];
    /* the runner */
    bool careful;
    struct rows rows;
    size_t next, whole_next;
    lsn_t written;
    bool in_transaction, group_is_open;
    uint64_t finishes, waits, resets;
};

static bool chance(struct world *world, uint32_t one_in) {
    return random_below(&world->random, one_in) == 0;
}

/* ---- the source ---- */

static uint32_t begin(struct source *source) {
    const uint32_t xid = ++source->xid_count; /* 0 is none */
    cr_assert_lt(xid, XIDS_MAX);
    source->xids[xid] = XID_OPEN;
    return xid;
}

/* A transaction in this state, at random; 0: there is none. */
static uint32_t pick(struct world *world, enum xid_state state) {
    const struct source *source = &world->source;
    uint32_t found = 0, count = 0;
    for (uint32_t xid = 1; xid <= source->xid_count; xid++)
        if (source->xids[xid] == state && random_below(&world->random, ++count) == 0)
            found = xid;
    return found;
}

static bool may_write(const struct source *source, uint32_t xid, uint32_t table, uint32_t id) {
    const uint32_t writer = source->writers[table][id];
    const uint32_t truncater = source->truncaters[table];
    return (writer == 0 || writer == xid) && (truncater == 0 || truncater == xid);
}

static struct row write_row(struct source *source, uint32_t xid, uint32_t table, uint32_t id,
                            struct row row) {
    const struct row old = source->current.row[table][id];
    source->current.row[table][id] = row;
    source->writers[table][id] = xid;
    return old;
}

static void insert_row(struct world *world, uint32_t xid, uint32_t table, uint32_t id) {
    struct source *source = &world->source;
    char texts[2][TEXT];
    const uint32_t version = ++source->version;
    snprintf(texts[0], TEXT, "%u", id);
    snprintf(texts[1], TEXT, "%u", version);
    write_row(source, xid, table, id, (struct row){.exists = true, .n = version, .body = version});
    change_builder_insert(&source->stream, source->relations[table], ROW(texts[0], texts[1], texts[1]));
}

static const char *const *old_row(uint32_t table, uint32_t id, struct row row, char texts[3][TEXT],
                                  const char *ret[3]) {
    snprintf(texts[0], TEXT, "%u", id);
    snprintf(texts[1], TEXT, "%u", row.n);
    snprintf(texts[2], TEXT, "%u", row.body);
    ret[0] = texts[0];
    ret[1] = table == 1 ? texts[1] : NULL;
    ret[2] = table == 1 ? texts[2] : NULL;
    return ret;
}

static void delete_row(struct world *world, uint32_t xid, uint32_t table, uint32_t id) {
    struct source *source = &world->source;
    char texts[3][TEXT];
    const char *old[3];
    const struct row row = write_row(source, xid, table, id, (struct row){0});
    source->met[source->stream.count] = row;
    change_builder_delete(&source->stream, source->relations[table], old_row(table, id, row, texts, old));
}

static void update_row(struct world *world, uint32_t xid, uint32_t table, uint32_t id, uint32_t to) {
    struct source *source = &world->source;
    const bool keeps_body = chance(world, 2);
    char texts[3][TEXT], new_texts[3][TEXT];
    const char *old[3];
    const uint32_t version = ++source->version;
    const struct row row = write_row(source, xid, table, id, (struct row){0});
    const struct row new_row = {.exists = true, .n = version, .body = keeps_body ? row.body : version};
    write_row(source, xid, table, to, new_row);
    snprintf(new_texts[0], TEXT, "%u", to);
    snprintf(new_texts[1], TEXT, "%u", new_row.n);
    snprintf(new_texts[2], TEXT, "%u", new_row.body);
    source->met[source->stream.count] = row;
    change_builder_update(&source->stream, source->relations[table],
                          to != id || table == 1 ? old_row(table, id, row, texts, old) : NULL,
                          ROW(new_texts[0], new_texts[1], keeps_body ? UNCHANGED_TEXT : new_texts[2]));
}

static void change_row(struct world *world, uint32_t xid) {
    struct source *source = &world->source;
    const uint32_t table = random_below(&world->random, TABLES);
    const uint32_t id = random_below(&world->random, ROWS), to = random_below(&world->random, ROWS);
    if (!may_write(source, xid, table, id))
        return;
    if (!source->current.row[table][id].exists)
        insert_row(world, xid, table, id);
    else if (chance(world, 4))
        delete_row(world, xid, table, id);
    else if (chance(world, 2) && may_write(source, xid, table, to) && !source->current.row[table][to].exists)
        update_row(world, xid, table, id, to);
    else
        update_row(world, xid, table, id, id);
}

/* A copier that has read its rows has released its lock in this model, so only writers are in the way. */
static void truncate_tables(struct world *world, uint32_t xid) {
    struct source *source = &world->source;
    const struct relation *relations[TABLES];
    uint32_t count = 0;
    for (uint32_t table = 0; table < TABLES; table++) {
        bool is_free = chance(world, 2);
        for (uint32_t id = 0; id < ROWS; id++)
            is_free = is_free && may_write(source, xid, table, id);
        if (!is_free)
            continue;
        relations[count++] = source->relations[table];
        source->truncaters[table] = xid;
        for (uint32_t id = 0; id < ROWS; id++)
            write_row(source, xid, table, id, (struct row){0});
    }
    if (count > 0)
        change_builder_truncate(&source->stream, 0, count, relations);
}

static void commit_transaction(struct world *world, uint32_t xid) {
    struct source *source = &world->source;
    cr_assert_lt(source->stream.count, CHANGES_MAX - 100);
    source->first[xid] = source->stream.count;
    change_builder_begin(&source->stream);
    source->stream.transaction->xid = (xid_t) (XID_BASE + xid);
    for (uint32_t i = random_below(&world->random, 6); i > 0; i--) {
        if (chance(world, 60))
            truncate_tables(world, xid);
        else
            change_row(world, xid);
    }
    change_builder_commit(&source->stream);
    source->xids[xid] = XID_HANGS;
}

static void show(struct source *source, uint32_t xid) {
    source->xids[xid] = XID_VISIBLE;
    for (uint32_t table = 0; table < TABLES; table++) {
        if (source->truncaters[table] == xid)
            source->truncaters[table] = 0;
        for (uint32_t id = 0; id < ROWS; id++)
            if (source->writers[table][id] == xid) {
                source->visible.row[table][id] = source->current.row[table][id];
                source->writers[table][id] = 0;
            }
    }
}

static void step_source(struct world *world) {
    struct source *source = &world->source;
    uint32_t xid;
    switch (random_below(&world->random, 5)) {
    case 0:
        begin(source);
        break;
    case 1:
        if ((xid = pick(world, XID_OPEN)) != 0 && chance(world, 6))
            source->xids[xid] = XID_ABORTED;
        break;
    case 2:
        if ((xid = pick(world, XID_OPEN)) != 0)
            commit_transaction(world, xid);
        break;
    default:
        if ((xid = pick(world, XID_HANGS)) != 0)
            show(source, xid);
    }
}

/* As pg_current_snapshot() has it; of_slot: as the slot does, which sees all that has committed. */
static void take_snapshot(const struct source *source, bool of_slot, char *text) {
    uint32_t xmax = 1, xmin;
    const char *between = "";
    for (uint32_t xid = 1; xid <= source->xid_count; xid++)
        if (source->xids[xid] >= (of_slot ? XID_HANGS : XID_VISIBLE))
            xmax = xid + 1;
    for (xmin = 1; xmin < xmax && source->xids[xmin] >= (of_slot ? XID_HANGS : XID_VISIBLE); xmin++)
        continue;
    int used = snprintf(text, XIDS_MAX, "%" PRIu64 ":%" PRIu64 ":", XID_BASE + xmin, XID_BASE + xmax);
    for (uint32_t xid = xmin; xid < xmax; xid++)
        if (source->xids[xid] < (of_slot ? XID_HANGS : XID_VISIBLE)) {
            used += snprintf(text + used, (size_t) (XIDS_MAX - used), "%s%" PRIu64, between, XID_BASE + xid);
            between = ",";
        }
    cr_assert_lt(used, XIDS_MAX - 64);
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
    *ret_high = chunk->high != NULL ? (uint32_t) atoi(chunk->high) : ROWS;
}

static void plan(struct world *world) {
    static const char *const BOUNDS[] = {NULL, "8", "16", "24", "32", NULL};
    uint32_t count = 0;
    for (uint32_t table = 0; table < TABLES; table++) {
        const struct relation *relation = world->source.relations[table];
        for (uint32_t i = 0; i < (table < 2 ? ROWS / CHUNK_ROWS : 1); i++, count++)
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
    take_snapshot(&world->source, false, worker->snapshot);
    cr_assert(xid_snapshot_parse(worker->snapshot, &snapshot), "%s", worker->snapshot);
    cr_assert(chunk_map_accept(world->map, worker->chunk, &snapshot, &worker->is_reading, &err));
    xid_snapshot_release(&snapshot);
    range_of(&worker->chunk->chunk, &low, &high);
    memcpy(worker->rows + low, world->source.visible.row[table] + low, (high - low) * sizeof(struct row));
}

/* Its DELETE sees only what is committed, and its COPY must meet no row. */
static void end_chunk(struct world *world, struct worker *worker) {
    const struct chunk *chunk = &worker->chunk->chunk;
    const uint32_t table = table_of(world, chunk);
    struct durable *durable = &world->durable;
    uint32_t low, high;
    range_of(chunk, &low, &high);
    for (uint32_t id = low; id < high; id++) {
        struct row *kept = &durable->rows.row[table][id];
        cr_assert(memcmp(kept, &world->rows.row[table][id], sizeof *kept) == 0,
                  "chunk %u is written while the runner has changed its row %u", chunk->id, id);
        cr_assert(!kept->exists || worker->chunk->is_dirty, "chunk %u was not empty", chunk->id);
        *kept = worker->rows[id];
        world->rows.row[table][id] = worker->rows[id];
    }
    durable->states[chunk->id - 1] = CHUNK_COPIED;
    memcpy(durable->snapshots[chunk->id - 1], worker->snapshot, XIDS_MAX);
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

static const struct row *met_by(const struct world *world, const struct change *change) {
    const struct source *source = &world->source;
    const uint32_t xid = change->transaction->xid - (xid_t) XID_BASE;
    return &source->met[source->first[xid] + 1 + change->index];
}

static void apply_row(struct world *world, const struct change *change) {
    uint32_t table = 0;
    struct row row = {0};
    while (world->source.relations[table] != change->relation)
        table++;
    struct row *rows = world->rows.row[table];
    if (change->kind != CHANGE_INSERT) {
        const uint32_t id =
            number_of(change->old_values != NULL ? &change->old_values[0] : &change->new_values[0]);
        cr_assert(rows[id].exists, "%c of row %u of table %u, which is not there", change->kind, id, table);
        cr_assert(rows[id].n == met_by(world, change)->n && rows[id].body == met_by(world, change)->body,
                  "%c of row %u of table %u meets another version", change->kind, id, table);
        row = rows[id];
        rows[id] = (struct row){0};
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
        for (uint32_t table = 0; table < TABLES; table++)
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
        step_source(world);
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

static void fill_source(struct world *world) {
    struct source *source = &world->source;
    static const char *const NAMES[] = {"t", "u", "w"};
    change_builder_init(&source->stream);
    for (uint32_t table = 0; table < TABLES; table++)
        source->relations[table] = change_builder_relation(
            &source->stream, NAMES[table], table == 1 ? REPLICA_IDENTITY_FULL : REPLICA_IDENTITY_DEFAULT,
            "id int8 key, n text, body text");
    for (int i = 0; i < 200; i++)
        step_source(world);
}

/* What has committed before the slot is in its snapshot, and is not streamed. */
static void create_slot(struct world *world) {
    take_snapshot(&world->source, true, world->slot_snapshot);
    world->durable.next = world->source.stream.count;
    world->durable.end_lsn = world->source.stream.end_lsn;
}

static void settle(struct world *world) {
    struct source *source = &world->source;
    for (uint32_t xid = 1; xid <= source->xid_count; xid++) {
        if (source->xids[xid] == XID_OPEN)
            source->xids[xid] = XID_ABORTED;
        if (source->xids[xid] == XID_HANGS)
            show(source, xid);
    }
    while (world->map != NULL || world->next < source->stream.count) {
        step_worker(world);
        step_runner(world);
    }
    for (uint32_t table = 0; table < TABLES; table++)
        for (uint32_t id = 0; id < ROWS; id++)
            cr_assert(
                memcmp(&world->rows.row[table][id], &source->current.row[table][id], sizeof(struct row)) == 0,
                "row %u of table %u differs", id, table);
}

static void run(struct world *world, uint64_t seed) {
    *world = (struct world){.random = {.state = seed}};
    world->careful = chance(world, 3);
    fill_source(world);
    create_slot(world);
    plan(world);
    start_engine(world);
    const uint32_t one_worker_in = 2 + random_below(&world->random, 60);
    for (int i = 0; i < STEPS; i++) {
        if (chance(world, 2))
            step_source(world);
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
