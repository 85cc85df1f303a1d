/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_map_test.c - states of chunks, the answers about changes, and when a copy ends.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cdc/copy/chunk_map.h"

enum { INT4 = 23, TABLE = 5000, OTHER = 4000 };

/* Three chunks of a table, one of another; the slot's snapshot is 100:100. */
static struct chunk_map *start(const uint64_t *seen, size_t seen_count) {
    static const struct chunk CHUNKS[] = {
        {.id = 1,
         .relation_oid = TABLE,
         .schema = "s",
         .table = "t",
         .column = "id",
         .method = CHUNK_BY_KEY,
         .column_type = INT4,
         .key_type = INT4,
         .high = "-5"},
        {.id = 2,
         .relation_oid = TABLE,
         .schema = "s",
         .table = "t",
         .column = "id",
         .method = CHUNK_BY_KEY,
         .column_type = INT4,
         .key_type = INT4,
         .low = "-5",
         .high = "7"},
        {.id = 3,
         .relation_oid = TABLE,
         .schema = "s",
         .table = "t",
         .column = "id",
         .method = CHUNK_BY_KEY,
         .column_type = INT4,
         .key_type = INT4,
         .low = "7"},
        {.id = 4, .relation_oid = OTHER, .schema = "s", .table = "o"},
    };
    const struct chunk_plan plan = {
        .snapshot = "100:100:", .chunks = CHUNKS, .count = 4, .seen = seen, .seen_count = seen_count};
    struct chunk_map *map = NULL;
    struct error err = {0};
    cr_assert(chunk_map_new(&plan, &map, &err), "%s", err.text);
    return map;
}

static bool offer(struct chunk_map *map, struct map_chunk *chunk, const char *text) {
    struct xid_snapshot snapshot;
    struct error err = {0};
    bool accepted = false;
    cr_assert(xid_snapshot_parse(text, &snapshot));
    cr_assert(chunk_map_accept(map, chunk, &snapshot, &accepted, &err));
    xid_snapshot_release(&snapshot);
    return accepted;
}

static struct map_chunk *take(struct chunk_map *map) {
    struct map_chunk *chunk = NULL;
    cr_assert_eq(chunk_map_take(map, &chunk), MAP_WORK_CHUNK);
    return chunk;
}

static struct map_chunk *copy_one(struct chunk_map *map, const char *snapshot) {
    struct map_chunk *chunk = take(map);
    cr_assert(offer(map, chunk, snapshot));
    chunk_map_end(map, chunk);
    return chunk;
}

static void copy_all(struct chunk_map *map, const char *snapshot) {
    while (map->copied_count < map->count)
        copy_one(map, snapshot);
}

static void ask_end(struct chunk_map *map) {
    struct map_chunk *chunk;
    cr_assert_eq(chunk_map_take(map, &chunk), MAP_WORK_END);
}

static uint32_t place(struct chunk_map *map, const char *number) {
    const struct value value = {.data = number, .size = (uint32_t) strlen(number), .kind = VALUE_TEXT};
    struct chunk_key key;
    cr_assert(chunk_key_read(INT4, &value, &key));
    return chunk_map_place(map, chunk_map_table(map, TABLE), &key)->chunk.id;
}

Test(chunk_map, a_key_is_in_the_chunk_whose_low_bound_is_the_last_one_not_above_it) {
    struct chunk_map *map = start(NULL, 0);
    cr_assert_eq(place(map, "-2147483648"), 1);
    cr_assert_eq(place(map, "-6"), 1);
    cr_assert_eq(place(map, "-5"), 2);
    cr_assert_eq(place(map, "6"), 2);
    cr_assert_eq(place(map, "7"), 3);
    cr_assert_eq(place(map, "2147483647"), 3);
    cr_assert_null(chunk_map_table(map, 4500));
    cr_assert_eq(chunk_map_table(map, OTHER)->count, 1);
    chunk_map_free(map);
}

Test(chunk_map, a_change_is_omitted_then_waits_then_applies) {
    struct chunk_map *map = start(NULL, 0);
    struct map_chunk *chunk = take(map);
    cr_assert_eq(chunk_map_ask(map, chunk, 150), MAP_OMIT, "its chunk waits");
    cr_assert(offer(map, chunk, "120:140:120,130"));
    cr_assert_eq(chunk_map_ask(map, chunk, 119), MAP_OMIT);
    cr_assert_eq(chunk_map_ask(map, chunk, 129), MAP_OMIT);
    cr_assert_eq(chunk_map_ask(map, chunk, 130), MAP_WAIT);
    cr_assert_eq(chunk_map_ask(map, chunk, 140), MAP_WAIT);
    chunk_map_end(map, chunk);
    cr_assert_eq(chunk_map_ask(map, chunk, 129), MAP_OMIT);
    cr_assert_eq(chunk_map_ask(map, chunk, 130), MAP_APPLY);
    cr_assert_eq(chunk_map_ask(map, chunk, 140), MAP_APPLY);
    chunk_map_free(map);
}

Test(chunk_map, a_snapshot_must_see_what_the_slot_saw) {
    struct chunk_map *map = start(NULL, 0);
    struct map_chunk *chunk = take(map);
    cr_assert_not(offer(map, chunk, "99:99:"), "of before");
    cr_assert_not(offer(map, chunk, "99:110:99"), "99 hangs");
    cr_assert(offer(map, chunk, "100:110:100"));
    chunk_map_free(map);
}

Test(chunk_map, a_snapshot_must_see_what_was_streamed) {
    static const uint64_t STORED[] = {105};
    struct chunk_map *map = start(STORED, 1);
    struct error err = {0};
    struct map_chunk *chunk = take(map);
    cr_assert(chunk_map_note(map, 107, &err));
    cr_assert_not(offer(map, chunk, "105:120:105"));
    cr_assert_not(offer(map, chunk, "107:120:107"));
    cr_assert(offer(map, chunk, "106:120:106"));
    /* The next one must see at least as much. */
    struct map_chunk *next = take(map);
    cr_assert_not(offer(map, next, "107:130:107"));
    cr_assert_not(offer(map, next, "110:130:110"));
    cr_assert(offer(map, next, "106:130:106,125"));
    chunk_map_free(map);
}

Test(chunk_map, a_chunk_that_is_reset_is_held_until_that_is_committed) {
    struct chunk_map *map = start(NULL, 0);
    copy_all(map, "110:110:");
    struct map_chunk *chunk = &map->chunks[1];
    cr_assert_eq(chunk_map_ask(map, chunk, 115), MAP_APPLY);
    chunk_map_reset(map, chunk);
    cr_assert_eq(chunk_map_ask(map, chunk, 115), MAP_OMIT);
    cr_assert(chunk->is_held);
    chunk_map_release_held(map, chunk);
    cr_assert_eq(take(map), chunk);
    cr_assert(chunk->is_dirty);
    cr_assert(offer(map, chunk, "120:120:"));
    chunk_map_end(map, chunk);
    cr_assert_not(chunk->is_dirty);
    chunk_map_free(map);
}

Test(chunk_map, the_end_is_where_the_source_was_after_the_last_chunk) {
    struct chunk_map *map = start(NULL, 0);
    copy_all(map, "110:110:");
    ask_end(map);
    chunk_map_set_end(map, 500);
    cr_assert_eq(chunk_map_end_lsn(map), 500);
    chunk_map_reset(map, &map->chunks[3]);
    cr_assert_eq(chunk_map_end_lsn(map), 0, "the copy goes on");
    chunk_map_release_held(map, &map->chunks[3]);
    copy_all(map, "120:120:");
    ask_end(map);
    chunk_map_set_end(map, 700);
    cr_assert_eq(chunk_map_end_lsn(map), 700);
    chunk_map_free(map);
}

/*
 * A copier reads the end of the WAL. Before it can say it, a chunk is reset and copied again by another
 * one. What the first read is too early: that chunk may see transactions that come later.
 */
Test(chunk_map, an_end_that_was_read_before_a_reset_does_not_count) {
    struct chunk_map *map = start(NULL, 0);
    copy_all(map, "110:110:");
    ask_end(map);
    chunk_map_reset(map, &map->chunks[0]);
    chunk_map_release_held(map, &map->chunks[0]);
    copy_one(map, "120:120:");
    chunk_map_set_end(map, 500);
    cr_assert_eq(chunk_map_end_lsn(map), 0);
    ask_end(map);
    chunk_map_set_end(map, 700);
    cr_assert_eq(chunk_map_end_lsn(map), 700);
    chunk_map_free(map);
}

Test(chunk_map, the_stream_s_xids_are_widened) {
    struct chunk_map *map = start(NULL, 0);
    struct map_chunk *chunk = take(map);
    cr_assert(offer(map, chunk, "8589934590:8589934600:"));
    cr_assert_eq(chunk_map_widen(map, 4294967295u), 8589934591u);
    cr_assert_eq(chunk_map_widen(map, 3), 8589934595u);
    cr_assert_eq(chunk_map_widen(map, 4294967286u), 8589934582u);
    chunk_map_free(map);
}

/*
 * The plan of added tables has a snapshot that sees nothing. From its xids a stream of a later epoch was
 * widened into the first one, so a remembered transaction counted as seen by every snapshot.
 */
Test(chunk_map, the_stream_s_xids_are_widened_from_what_is_known) {
    struct chunk_map *map = start(NULL, 0);
    chunk_map_know(map, 8589934600u);
    chunk_map_know(map, 5);
    cr_assert_eq(chunk_map_widen(map, 4294967295u), 8589934591u);
    chunk_map_free(map);
}

Test(chunk_map, the_first_error_of_a_copier_counts_and_ends_the_others) {
    struct chunk_map *map = start(NULL, 0);
    struct error first = {0}, second = {0}, told = {0};
    struct map_chunk *chunk;
    cr_assert_not(error_set(&first, ERROR_RETRY, "first"));
    cr_assert_not(error_set(&second, ERROR_REFUSE, "second"));
    chunk_map_fail(map, &first);
    chunk_map_fail(map, &second);
    cr_assert(chunk_map_failed(map, &told));
    cr_assert_str_eq(told.text, "first");
    cr_assert_eq(chunk_map_take(map, &chunk), MAP_WORK_NONE);
    chunk_map_free(map);
}

/* ---- relayed ---- */

static struct chunk_map *start_relayed(void) {
    struct chunk_map *map = start(NULL, 0);
    map->is_relayed = true;
    return map;
}

static const struct map_chunk *enter(struct chunk_map *map, uint64_t xid) {
    const struct map_chunk *awaited = NULL;
    struct error err = {0};
    cr_assert(chunk_map_enter(map, xid, &awaited, &err));
    return awaited;
}

Test(chunk_map, a_transaction_waits_at_its_begin_for_a_chunk_that_does_not_see_it) {
    struct chunk_map *map = start_relayed();
    struct map_chunk *chunk = take(map);
    cr_assert_null(enter(map, 115), "no chunk is read");
    cr_assert(offer(map, chunk, "120:120:"));
    cr_assert_null(enter(map, 119), "the chunk contains it");
    cr_assert_eq(enter(map, 121), chunk);
    cr_assert_not(chunk_map_wait(map, chunk, 1));
    chunk_map_end(map, chunk);
    cr_assert(chunk_map_wait(map, chunk, 1));
    cr_assert_null(enter(map, 121));
    chunk_map_free(map);
}

Test(chunk_map, a_snapshot_sees_each_transaction_that_was_entered) {
    struct chunk_map *map = start_relayed();
    struct map_chunk *chunk = take(map);
    cr_assert_null(enter(map, 130));
    cr_assert_null(enter(map, 125));
    cr_assert_not(offer(map, chunk, "125:140:125"), "125 is streamed and hangs");
    cr_assert_eq(map->seen_count, 1, "what the offered one sees need not be remembered");
    cr_assert_not(offer(map, chunk, "130:135:130"), "older than what was offered");
    cr_assert(offer(map, chunk, "126:141:"));
    chunk_map_free(map);
}

Test(chunk_map, a_chunk_that_is_repeated_stays_copied_under_its_snapshot) {
    struct chunk_map *map = start_relayed();
    copy_all(map, "110:110:");
    ask_end(map);
    chunk_map_set_end(map, 1000);
    struct map_chunk *chunk = &map->chunks[1];
    cr_assert_null(enter(map, 115));
    cr_assert(chunk_map_repeat(map, chunk));
    cr_assert_not(chunk_map_repeat(map, chunk), "it is going to be");
    cr_assert_eq(chunk_map_end_lsn(map), 0, "there is work again");
    cr_assert_eq(chunk_map_ask(map, chunk, 115), MAP_APPLY);
    chunk_map_release_held(map, chunk);
    cr_assert_eq(take(map), chunk);
    cr_assert_not(offer(map, chunk, "115:120:115"));
    cr_assert(offer(map, chunk, "120:120:"));
    cr_assert_eq(enter(map, 121), chunk, "its rows are not newer than what is written after them");
    cr_assert_eq(chunk_map_ask(map, chunk, 116), MAP_APPLY, "its first snapshot decides");
    chunk_map_end(map, chunk);
    cr_assert_eq(chunk_map_ask(map, chunk, 116), MAP_APPLY);
    ask_end(map);
    chunk_map_free(map);
}

Test(chunk_map, a_chunk_that_was_to_be_repeated_is_so_after_a_restart) {
    static const struct chunk CHUNK = {.id = 1,
                                       .relation_oid = TABLE,
                                       .schema = "s",
                                       .table = "t",
                                       .state = CHUNK_DIRTY,
                                       .snapshot = "110:110:"};
    const struct chunk_plan plan = {.snapshot = "100:100:", .chunks = &CHUNK, .count = 1};
    struct chunk_map *map = NULL;
    struct error err = {0};
    cr_assert(chunk_map_new(&plan, &map, &err), "%s", err.text);
    map->is_relayed = true;
    cr_assert_eq(chunk_map_ask(map, &map->chunks[0], 111), MAP_APPLY);
    cr_assert_eq(map->copied_count, 0);
    cr_assert_eq(take(map), &map->chunks[0]);
    chunk_map_free(map);
}
