/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_source.c - the steps of the model, at random.
 */
#include "tests/support/model_source.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { TEXT = 24 };

static bool chance(struct model_source *source, uint32_t one_in) {
    return random_below(source->random, one_in) == 0;
}

static uint32_t begin(struct model_source *source) {
    const uint32_t xid = ++source->xid_count; /* 0 is none */
    cr_assert_lt(xid, MODEL_XIDS_MAX);
    source->xids[xid] = XID_OPEN;
    return xid;
}

/* A transaction in this state, at random; 0: there is none. */
static uint32_t pick(struct model_source *source, enum xid_state state) {
    uint32_t found = 0, count = 0;
    for (uint32_t xid = 1; xid <= source->xid_count; xid++)
        if (source->xids[xid] == state && random_below(source->random, ++count) == 0)
            found = xid;
    return found;
}

static bool may_write(const struct model_source *source, uint32_t xid, uint32_t table, uint32_t id) {
    const uint32_t writer = source->writers[table][id];
    const uint32_t truncater = source->truncaters[table];
    return (writer == 0 || writer == xid) && (truncater == 0 || truncater == xid);
}

static struct model_row write_row(struct model_source *source, uint32_t xid, uint32_t table, uint32_t id,
                                  struct model_row row) {
    const struct model_row old = source->current.row[table][id];
    source->current.row[table][id] = row;
    source->writers[table][id] = xid;
    return old;
}

static void insert_row(struct model_source *source, uint32_t xid, uint32_t table, uint32_t id) {
    char texts[2][TEXT];
    const uint32_t version = ++source->version;
    snprintf(texts[0], TEXT, "%u", id);
    snprintf(texts[1], TEXT, "%u", version);
    write_row(source, xid, table, id, (struct model_row){.exists = true, .n = version, .body = version});
    change_builder_insert(&source->stream, source->relations[table], ROW(texts[0], texts[1], texts[1]));
}

static const char *const *old_row(uint32_t table, uint32_t id, struct model_row row, char texts[3][TEXT],
                                  const char *ret[3]) {
    snprintf(texts[0], TEXT, "%u", id);
    snprintf(texts[1], TEXT, "%u", row.n);
    snprintf(texts[2], TEXT, "%u", row.body);
    ret[0] = texts[0];
    ret[1] = table == 1 ? texts[1] : NULL;
    ret[2] = table == 1 ? texts[2] : NULL;
    return ret;
}

static void delete_row(struct model_source *source, uint32_t xid, uint32_t table, uint32_t id) {
    char texts[3][TEXT];
    const char *old[3];
    const struct model_row row = write_row(source, xid, table, id, (struct model_row){0});
    source->met[source->stream.count] = row;
    change_builder_delete(&source->stream, source->relations[table], old_row(table, id, row, texts, old));
}

static void update_row(struct model_source *source, uint32_t xid, uint32_t table, uint32_t id, uint32_t to) {
    const bool keeps_body = chance(source, 2);
    char texts[3][TEXT], new_texts[3][TEXT];
    const char *old[3];
    const uint32_t version = ++source->version;
    const struct model_row row = write_row(source, xid, table, id, (struct model_row){0});
    const struct model_row new_row = {.exists = true, .n = version, .body = keeps_body ? row.body : version};
    write_row(source, xid, table, to, new_row);
    snprintf(new_texts[0], TEXT, "%u", to);
    snprintf(new_texts[1], TEXT, "%u", new_row.n);
    snprintf(new_texts[2], TEXT, "%u", new_row.body);
    source->met[source->stream.count] = row;
    change_builder_update(&source->stream, source->relations[table],
                          to != id || table == 1 ? old_row(table, id, row, texts, old) : NULL,
                          ROW(new_texts[0], new_texts[1], keeps_body ? UNCHANGED_TEXT : new_texts[2]));
}

static void change_row(struct model_source *source, uint32_t xid) {
    const uint32_t table = random_below(source->random, MODEL_TABLES);
    const uint32_t id = random_below(source->random, MODEL_ROWS),
                   to = random_below(source->random, MODEL_ROWS);
    if (!may_write(source, xid, table, id))
        return;
    if (!source->current.row[table][id].exists)
        insert_row(source, xid, table, id);
    else if (chance(source, 4))
        delete_row(source, xid, table, id);
    else if (chance(source, 2) && may_write(source, xid, table, to) && !source->current.row[table][to].exists)
        update_row(source, xid, table, id, to);
    else
        update_row(source, xid, table, id, id);
}

/* A copier that has read its rows has released its lock in this model, so only writers are in the way. */
static void truncate_tables(struct model_source *source, uint32_t xid) {
    const struct relation *relations[MODEL_TABLES];
    uint32_t count = 0;
    for (uint32_t table = 0; table < MODEL_TABLES; table++) {
        bool is_free = chance(source, 2);
        for (uint32_t id = 0; id < MODEL_ROWS; id++)
            is_free = is_free && may_write(source, xid, table, id);
        if (!is_free)
            continue;
        relations[count++] = source->relations[table];
        source->truncaters[table] = xid;
        for (uint32_t id = 0; id < MODEL_ROWS; id++)
            write_row(source, xid, table, id, (struct model_row){0});
    }
    if (count > 0)
        change_builder_truncate(&source->stream, 0, count, relations);
}

static void commit_transaction(struct model_source *source, uint32_t xid) {
    cr_assert_lt(source->stream.count, MODEL_CHANGES_MAX - 100);
    source->first[xid] = source->stream.count;
    change_builder_begin(&source->stream);
    source->stream.transaction->xid = (xid_t) (MODEL_XID_BASE + xid);
    for (uint32_t i = random_below(source->random, 6); i > 0; i--) {
        if (chance(source, 60))
            truncate_tables(source, xid);
        else
            change_row(source, xid);
    }
    change_builder_commit(&source->stream);
    source->xids[xid] = XID_HANGS;
}

static void show(struct model_source *source, uint32_t xid) {
    source->xids[xid] = XID_VISIBLE;
    for (uint32_t table = 0; table < MODEL_TABLES; table++) {
        if (source->truncaters[table] == xid)
            source->truncaters[table] = 0;
        for (uint32_t id = 0; id < MODEL_ROWS; id++)
            if (source->writers[table][id] == xid) {
                source->visible.row[table][id] = source->current.row[table][id];
                source->writers[table][id] = 0;
            }
    }
}

void model_source_step(struct model_source *source) {
    uint32_t xid;
    switch (random_below(source->random, 5)) {
    case 0:
        begin(source);
        break;
    case 1:
        if ((xid = pick(source, XID_OPEN)) != 0 && chance(source, 6))
            source->xids[xid] = XID_ABORTED;
        break;
    case 2:
        if ((xid = pick(source, XID_OPEN)) != 0)
            commit_transaction(source, xid);
        break;
    default:
        if ((xid = pick(source, XID_HANGS)) != 0)
            show(source, xid);
    }
}

/* As pg_current_snapshot() has it; of_slot: as the slot does, which sees all that has committed. */
void model_source_snapshot(const struct model_source *source, bool of_slot,
                           char text[static MODEL_XIDS_MAX]) {
    uint32_t xmax = 1, xmin;
    const char *between = "";
    for (uint32_t xid = 1; xid <= source->xid_count; xid++)
        if (source->xids[xid] >= (of_slot ? XID_HANGS : XID_VISIBLE))
            xmax = xid + 1;
    for (xmin = 1; xmin < xmax && source->xids[xmin] >= (of_slot ? XID_HANGS : XID_VISIBLE); xmin++)
        continue;
    int used = snprintf(text, MODEL_XIDS_MAX, "%" PRIu64 ":%" PRIu64 ":", MODEL_XID_BASE + xmin,
                        MODEL_XID_BASE + xmax);
    for (uint32_t xid = xmin; xid < xmax; xid++)
        if (source->xids[xid] < (of_slot ? XID_HANGS : XID_VISIBLE)) {
            used += snprintf(text + used, (size_t) (MODEL_XIDS_MAX - used), "%s%" PRIu64, between,
                             MODEL_XID_BASE + xid);
            between = ",";
        }
    cr_assert_lt(used, MODEL_XIDS_MAX - 64);
}

void model_source_init(struct model_source *source, struct random *random) {
    static const char *const NAMES[] = {"t", "u", "w"};
    *source = (struct model_source){.random = random};
    change_builder_init(&source->stream);
    for (uint32_t table = 0; table < MODEL_TABLES; table++)
        source->relations[table] = change_builder_relation(
            &source->stream, NAMES[table], table == 1 ? REPLICA_IDENTITY_FULL : REPLICA_IDENTITY_DEFAULT,
            "id int8 key, n text, body text");
    for (int i = 0; i < 200; i++)
        model_source_step(source);
}

void model_source_settle(struct model_source *source) {
    for (uint32_t xid = 1; xid <= source->xid_count; xid++) {
        if (source->xids[xid] == XID_OPEN)
            source->xids[xid] = XID_ABORTED;
        if (source->xids[xid] == XID_HANGS)
            show(source, xid);
    }
}

const struct model_row *model_source_met(const struct model_source *source, const struct change *change) {
    const uint32_t xid = change->transaction->xid - (xid_t) MODEL_XID_BASE;
    return &source->met[source->first[xid] + 1 + change->index];
}
