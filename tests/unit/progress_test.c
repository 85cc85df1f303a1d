/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress_test.c - what a copy's progress adds up, its rates, and the time that is left.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cdc/copy/chunk_map.h"
#include "cdc/copy/progress.h"

enum { TABLE = 5000, OTHER = 4000 };

/* Three chunks of 1000 bytes, of which the first is copied, the last kept as it is; and a small table. */
static struct chunk_map *two_tables(void) {
    static const struct chunk CHUNKS[] = {
        {.id = 1,
         .relation_oid = TABLE,
         .schema = "s",
         .table = "t",
         .bytes_estimate = 1000,
         .state = CHUNK_COPIED,
         .snapshot = "100:100:",
         .rows = 7},
        {.id = 2, .relation_oid = TABLE, .schema = "s", .table = "t", .bytes_estimate = 1000},
        {.id = 3,
         .relation_oid = TABLE,
         .schema = "s",
         .table = "t",
         .bytes_estimate = 1000,
         .state = CHUNK_COPIED,
         .snapshot = CHUNK_SNAPSHOT_OF_NONE},
        {.id = 4, .relation_oid = OTHER, .schema = "s", .table = "o", .bytes_estimate = 100},
    };
    const struct chunk_plan plan = {.snapshot = "100:100:", .chunks = CHUNKS, .count = 4};
    struct chunk_map *map = NULL;
    struct error err = {0};
    cr_assert(chunk_map_new(&plan, &map, &err), "%s", err.text);
    return map;
}

static struct map_chunk *read_next(struct chunk_map *map) {
    struct xid_snapshot snapshot;
    struct map_chunk *chunk = NULL;
    struct error err = {0};
    bool accepted = false;
    cr_assert_eq(chunk_map_take(map, &chunk), MAP_WORK_CHUNK);
    cr_assert(xid_snapshot_parse("100:100:", &snapshot));
    cr_assert(chunk_map_accept(map, chunk, &snapshot, &accepted, &err));
    cr_assert(accepted);
    xid_snapshot_release(&snapshot);
    return chunk;
}

struct shown {
    struct snapshot_progress copy;
    struct snapshot_progress *copies[1];
    struct progress progress;
};

static void show(struct shown *shown, struct chunk_map *map) {
    *shown =
        (struct shown){.copy = {.map = map, .map_lock = PTHREAD_MUTEX_INITIALIZER}, .copies = {&shown->copy}};
}

static void move_bytes(struct shown *shown, struct map_chunk *chunk, uint64_t bytes) {
    atomic_fetch_add(&chunk->rows, 1);
    atomic_fetch_add(&chunk->bytes, bytes);
    atomic_fetch_add(&shown->copy.bytes, bytes);
}

/* Of a sink that appends: all its changes are written, and its rows once more. */
Test(progress, a_chunk_that_is_written_once_more_is_not_done) {
    static const struct chunk CHUNKS[] = {{.id = 1,
                                           .relation_oid = TABLE,
                                           .schema = "s",
                                           .table = "t",
                                           .state = CHUNK_DIRTY,
                                           .snapshot = CHUNK_SNAPSHOT_REPEATED},
                                          {.id = 2,
                                           .relation_oid = TABLE,
                                           .schema = "s",
                                           .table = "t",
                                           .state = CHUNK_COPIED,
                                           .snapshot = CHUNK_SNAPSHOT_REPEATED}};
    const struct chunk_plan plan = {.snapshot = CHUNK_SNAPSHOT_OF_NONE, .chunks = CHUNKS, .count = 2};
    struct chunk_map *map = NULL;
    struct chunk_tally tally;
    struct error err = {0};
    cr_assert(chunk_map_new(&plan, &map, &err), "%s", err.text);
    chunk_map_tally(map, &tally);
    cr_assert_eq(tally.chunk_count, 2);
    cr_assert_eq(tally.chunks_done, 1);
    cr_assert_eq(tally.chunks_safe, 1);
    chunk_map_free(map);
}

Test(progress, chunks_are_counted_that_the_plan_copies) {
    struct shown shown;
    struct chunk_map *map = two_tables();
    show(&shown, map);
    progress_update(&shown.progress, shown.copies, 1, 1000);
    const struct progress_total *total = &shown.progress.total;
    cr_assert_eq(total->chunk_count, 3);
    cr_assert_eq(total->chunks_done, 1);
    cr_assert_eq(total->table_count, 2);
    cr_assert_eq(total->rows, 7, "of an earlier engine");
    cr_assert_eq(total->bytes_done, 1000);
    cr_assert_eq(total->bytes_estimate, 2100);
    cr_assert_eq(total->read_count, 0, "no chunk is being read");
    chunk_map_free(map);
}

Test(progress, a_chunk_in_work_counts_in_part_and_at_most_as_planned) {
    struct shown shown;
    struct chunk_map *map = two_tables();
    show(&shown, map);
    struct map_chunk *chunk = read_next(map);
    move_bytes(&shown, chunk, 400);
    progress_update(&shown.progress, shown.copies, 1, 1000);
    cr_assert_eq(shown.progress.total.bytes_done, 1400);
    cr_assert_str_eq(shown.progress.total.tables[0].name, "s.t");
    move_bytes(&shown, chunk, 4000);
    progress_update(&shown.progress, shown.copies, 1, 2000);
    cr_assert_eq(shown.progress.total.bytes_done, 2000, "its bytes on the wire are not those on disk");
    chunk_map_end(map, chunk);
    progress_update(&shown.progress, shown.copies, 1, 3000);
    cr_assert_eq(shown.progress.total.chunks_done, 2);
    cr_assert_eq(shown.progress.total.tables_done, 1);
    cr_assert_eq(shown.progress.total.rows, 9);
    chunk_map_free(map);
}

Test(progress, a_chunk_that_is_copied_again_is_counted_once) {
    struct shown shown;
    struct chunk_map *map = two_tables();
    show(&shown, map);
    struct map_chunk *chunk = read_next(map);
    move_bytes(&shown, chunk, 1000);
    chunk_map_end(map, chunk);
    chunk_map_reset(map, chunk);
    progress_update(&shown.progress, shown.copies, 1, 1000);
    cr_assert_eq(shown.progress.total.chunks_done, 1);
    cr_assert_eq(shown.progress.total.bytes_done, 1000);
    chunk_map_release_held(map, chunk);
    cr_assert_eq(read_next(map), chunk);
    progress_update(&shown.progress, shown.copies, 1, 2000);
    cr_assert_eq(shown.progress.total.rows, 7);
    chunk_map_free(map);
}

Test(progress, the_time_left_is_that_of_the_rest_at_the_present_rate) {
    struct shown shown;
    struct chunk_map *map = two_tables();
    show(&shown, map);
    struct map_chunk *chunk = read_next(map);
    progress_update(&shown.progress, shown.copies, 1, 1000);
    const struct progress_total *total = &shown.progress.total;
    cr_assert_eq(progress_left_ms(&total->rate, total->bytes_done, total->bytes_estimate), -1,
                 "one measurement is no rate");
    for (int second = 2; second <= 5; second++) {
        move_bytes(&shown, chunk, 100);
        progress_update(&shown.progress, shown.copies, 1, second * 1000);
    }
    cr_assert_float_eq(total->rate.bytes_per_s, 100, 0.1);
    cr_assert_eq(progress_left_ms(&total->rate, total->bytes_done, total->bytes_estimate), 7000);
    cr_assert_float_eq(total->tables[0].rate.bytes_per_s, 100, 0.1);
    chunk_map_free(map);
}

Test(progress, a_map_lives_as_long_as_it_is_shared) {
    struct chunk_map *map = two_tables();
    struct chunk_tally tables[2];
    chunk_map_share(map);
    chunk_map_free(map);
    chunk_map_tally(map, tables);
    cr_assert_str_eq(tables[0].table, "o", "by OID");
    cr_assert_str_eq(tables[1].table, "t");
    chunk_map_free(map);
}
