/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_merge.c - sorts a part of both sides by key, and walks through them together.
 *
 * A key is always in the same partition, where its records are in the order of their offsets, unless
 * partitions were added. Then the places of the changes give the order of its records.
 */
#include "sinks/kafka/verify/row_merge.h"

#include <stdlib.h>
#include <string.h>

#define PART_BYTES_MAX ((size_t) 1 << 30)

enum { APART_ROWS = 2 };

/* What the records have made of a row. */
struct row_life {
    bool is_alive;
    bool is_partial;
    bool is_doubtful;
    uint64_t hash;
    struct record_place place; /* of the last record that has one */
    uint64_t *apart;           /* APART_ROWS rows */
};

bool row_merge_init(struct row_merge *merge, const struct image_layout *layout, struct error *err) {
    const size_t count = layout->apart_count + 1;
    *merge = (struct row_merge){.layout = layout};
    buffer_init(&merge->source, PART_BYTES_MAX);
    buffer_init(&merge->records, PART_BYTES_MAX);
    buffer_init(&merge->places, PART_BYTES_MAX);
    merge->apart = calloc(count * APART_ROWS, sizeof *merge->apart);
    merge->differs = calloc(count, sizeof *merge->differs);
    return (merge->apart != NULL && merge->differs != NULL) || error_no_memory(err);
}

void row_merge_release(struct row_merge *merge) {
    buffer_release(&merge->source);
    buffer_release(&merge->records);
    buffer_release(&merge->places);
    free(merge->apart);
    free(merge->differs);
    *merge = (struct row_merge){0};
}

/* ---- order ---- */

static int compare_source(const void *one, const void *other) {
    return row_key_compare(one, other);
}

static int compare_records(const void *one, const void *other) {
    const struct record_entry *a = one, *b = other;
    const int order = row_key_compare(&a->key, &b->key);
    if (order != 0)
        return order;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->flags > b->flags) - (a->flags < b->flags); /* an update of a row without a key is two */
}

/* Some records of one key. */
struct record_group {
    char *first;
    size_t count;
    size_t entry_bytes;
};

static struct record_entry *entry_at(const struct record_group *group, size_t i) {
    return (struct record_entry *) (void *) (group->first + i * group->entry_bytes);
}

/* ---- duplicates ---- */

static int compare_places(const void *one, const void *other) {
    return record_place_compare(one, other);
}

static bool count_duplicates(struct row_merge *merge, const struct record_group *group, struct error *err) {
    buffer_reset(&merge->places);
    for (size_t i = 0; i < group->count; i++) {
        const struct record_entry *entry = entry_at(group, i);
        const struct record_place place = {entry->commit_lsn, entry->index};
        if ((entry->flags & RECORD_IDENTIFIED) != 0)
            buffer_append(&merge->places, &place, sizeof place);
    }
    if (!buffer_ok(&merge->places))
        return error_no_memory(err);
    struct record_place *places = (struct record_place *) (void *) merge->places.data;
    const size_t count = merge->places.size / sizeof *places;
    if (count > 1)
        qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 1; i < count; i++)
        merge->duplicate += record_place_compare(&places[i - 1], &places[i]) == 0;
    return true;
}

/* ---- the life of a row with a key ---- */

/* A value that may be null or unchanged has its flag in a second row, beside the last value that is known. */
static void live_apart(const struct row_merge *merge, struct row_life *life,
                       const struct record_entry *entry) {
    const uint32_t count = merge->layout->apart_count;
    uint64_t *perhaps = life->apart + count;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t value = entry->apart[i];
        if (value == IMAGE_PERHAPS) {
            perhaps[i] = 1;
        } else if (value != IMAGE_UNCHANGED) {
            life->apart[i] = value;
            perhaps[i] = 0;
        }
    }
}

static void forget_apart(const struct row_merge *merge, struct row_life *life) {
    const uint32_t count = merge->layout->apart_count;
    for (uint32_t i = 0; i < count; i++)
        life->apart[i] = IMAGE_UNCHANGED;
    memset(life->apart + count, 0, count * sizeof *life->apart);
}

static void live_through(const struct row_merge *merge, struct row_life *life,
                         const struct record_entry *entry) {
    if ((entry->flags & RECORD_PLACED) != 0)
        life->place = (struct record_place){entry->commit_lsn, entry->index};
    life->is_alive = (entry->flags & RECORD_ALIVE) != 0;
    life->is_partial = (entry->flags & RECORD_PARTIAL) != 0;
    life->is_doubtful = (entry->flags & RECORD_DOUBTFUL) != 0;
    life->hash = entry->hash;
    if (life->is_alive)
        live_apart(merge, life, entry);
    else
        forget_apart(merge, life);
}

static int compare_changes(const void *one, const void *other) {
    const struct record_entry *a = one, *b = other;
    const struct record_place of_a = {a->commit_lsn, a->index}, of_b = {b->commit_lsn, b->index};
    const int order = record_place_compare(&of_a, &of_b);
    return order != 0 ? order : compare_records(a, b);
}

/* A tombstone, which has no place, follows the record before it. */
static void order_by_place(const struct record_group *group) {
    for (size_t i = 1; i < group->count; i++) {
        const struct record_entry *before = entry_at(group, i - 1);
        struct record_entry *entry = entry_at(group, i);
        if ((entry->flags & RECORD_PLACED) != 0 || entry->partition != before->partition)
            continue;
        entry->commit_lsn = before->commit_lsn;
        entry->index = before->index;
    }
    qsort(group->first, group->count, group->entry_bytes, compare_changes);
}

static struct row_life live_all(const struct row_merge *merge, const struct record_group *group) {
    struct row_life life = {.apart = merge->apart};
    forget_apart(merge, &life);
    if (group->count > 0 && entry_at(group, 0)->partition != entry_at(group, group->count - 1)->partition)
        order_by_place(group);
    for (size_t i = 0; i < group->count; i++)
        live_through(merge, &life, entry_at(group, i));
    if (life.is_alive && record_place_compare(&life.place, &merge->truncated) < 0)
        life.is_alive = false;
    return life;
}

/* ---- both sides ---- */

/* What is apart and differs; or cannot be known. */
static enum row_state compare_apart(const struct row_merge *merge, const struct source_entry *source,
                                    const struct row_life *life) {
    const uint32_t count = merge->layout->apart_count;
    enum row_state state = ROW_EQUAL;
    for (uint32_t i = 0; i < count; i++) {
        const bool is_equal = source->apart[i] == life->apart[i] ||
                              (life->apart[count + i] != 0 && source->apart[i] == IMAGE_NULL);
        const bool is_unknown =
            !is_equal && (life->apart[count + i] != 0 || life->apart[i] == IMAGE_UNCHANGED);
        merge->differs[i] = !is_equal && !is_unknown;
        if (merge->differs[i])
            state = ROW_DIFFERS;
        else if (is_unknown && state == ROW_EQUAL)
            state = ROW_UNPROVEN;
    }
    return state;
}

static enum row_state compare_row(const struct row_merge *merge, const struct source_entry *source,
                                  const struct row_life *life) {
    const enum row_state apart = compare_apart(merge, source, life);
    if (apart == ROW_DIFFERS)
        return ROW_DIFFERS;
    if (life->is_partial || (life->is_doubtful && source->hash != life->hash))
        return ROW_UNSETTLED;
    return source->hash != life->hash ? ROW_DIFFERS : apart;
}

static uint64_t hash_apart(const struct row_merge *merge, uint64_t hash, const uint64_t *apart) {
    for (uint32_t i = 0; i < merge->layout->apart_count; i++)
        hash += apart[i];
    return hash;
}

static bool take_keyed_row(struct row_merge *merge, const struct source_entry *source,
                           const struct record_group *group, struct error *err) {
    const struct row_life life = live_all(merge, group);
    struct row_pair pair = {.state = ROW_DIFFERS, .has_records = group->count > 0};
    if (source == NULL && !life.is_alive)
        return true;
    pair.key = (int64_t) (source != NULL ? &source->key : &entry_at(group, 0)->key)->words[0];
    if (source != NULL)
        pair.source = (struct difference_sum){1, (int64_t) hash_apart(merge, source->hash, source->apart)};
    if (life.is_alive)
        pair.target = (struct difference_sum){1, (int64_t) hash_apart(merge, life.hash, life.apart)};
    if (source != NULL && life.is_alive) {
        pair.state = compare_row(merge, source, &life);
        pair.differs = merge->differs;
    }
    return merge->take(merge->context, &pair, err);
}

/* ---- rows without a key: equal rows are counted ---- */

/* How many of these rows there are after all records. */
static uint64_t count_rows(const struct row_merge *merge, const struct record_group *group) {
    int64_t rows = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct record_entry *entry = entry_at(group, i);
        const struct record_place place = {entry->commit_lsn, entry->index};
        if (record_place_compare(&place, &merge->truncated) >= 0)
            rows += (entry->flags & RECORD_TAKES_AWAY) != 0 ? -1 : 1;
    }
    return rows > 0 ? (uint64_t) rows : 0;
}

static bool take_keyless_rows(struct row_merge *merge, const struct row_key *key, uint64_t source_rows,
                              const struct record_group *group, struct error *err) {
    const uint64_t target_rows = count_rows(merge, group);
    const struct row_pair pair = {.key = (int64_t) key->words[0],
                                  .source = {source_rows, (int64_t) key->words[1]},
                                  .target = {target_rows, (int64_t) key->words[1]},
                                  .state = source_rows == target_rows ? ROW_EQUAL : ROW_DIFFERS,
                                  .has_records = group->count > 0};
    return (source_rows == 0 && target_rows == 0) || merge->take(merge->context, &pair, err);
}

/* ---- the walk ---- */

struct merge_side {
    char *next;
    const char *end;
    size_t entry_bytes;
};

static const struct row_key *key_of(const struct merge_side *side) {
    return side->next < side->end ? (const struct row_key *) (const void *) side->next : NULL;
}

static const struct row_key *smaller_key(const struct row_key *a, const struct row_key *b) {
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    return row_key_compare(a, b) <= 0 ? a : b;
}

/* Passes the entries with the key. */
static size_t pass_key(struct merge_side *side, const struct row_key *key) {
    size_t count = 0;
    for (; key_of(side) != NULL && row_key_compare(key_of(side), key) == 0; count++)
        side->next += side->entry_bytes;
    return count;
}

static bool take_key(struct row_merge *merge, struct merge_side *source, struct merge_side *records,
                     struct error *err) {
    const struct row_key *key = smaller_key(key_of(source), key_of(records));
    const struct source_entry *row = (const struct source_entry *) (const void *) source->next;
    struct record_group group = {.first = records->next, .entry_bytes = records->entry_bytes};
    const size_t source_rows = pass_key(source, key);
    group.count = pass_key(records, key);
    if (!count_duplicates(merge, &group, err))
        return false;
    return merge->layout->table->has_key ? take_keyed_row(merge, source_rows > 0 ? row : NULL, &group, err)
                                         : take_keyless_rows(merge, key, source_rows, &group, err);
}

static struct merge_side sort_side(struct buffer *entries, size_t entry_bytes,
                                   int (*compare)(const void *, const void *)) {
    if (entries->size > 0)
        qsort(entries->data, entries->size / entry_bytes, entry_bytes, compare);
    const char *end = entries->size > 0 ? entries->data + entries->size : entries->data;
    return (struct merge_side){.next = entries->data, .end = end, .entry_bytes = entry_bytes};
}

bool row_merge_part(struct row_merge *merge, struct row_store *source, struct row_store *records, int part,
                    struct error *err) {
    buffer_reset(&merge->source);
    buffer_reset(&merge->records);
    if (!row_store_take(source, part, &merge->source, err) ||
        !row_store_take(records, part, &merge->records, err))
        return false;
    struct merge_side rows = sort_side(&merge->source, source->entry_bytes, compare_source);
    struct merge_side entries = sort_side(&merge->records, records->entry_bytes, compare_records);
    while (key_of(&rows) != NULL || key_of(&entries) != NULL)
        if (!take_key(merge, &rows, &entries, err))
            return false;
    return true;
}
