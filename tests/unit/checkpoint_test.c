/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_test.c - what the disk says after every kind of damage: the newest whole generation, or
 * "corrupt"; never something that was not written.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cdc/engine/checkpoint.h"

#define PIPELINE "shop"

struct state {
    char directory[64];
    char current[96];
    char previous[112];
};

static struct state new_state(void) {
    struct state state = {.directory = "/tmp/pgcdc_checkpoint_XXXXXX"};
    cr_assert_not_null(mkdtemp(state.directory));
    snprintf(state.current, sizeof state.current, "%s/" PIPELINE ".checkpoint", state.directory);
    snprintf(state.previous, sizeof state.previous, "%s/" PIPELINE ".checkpoint.previous", state.directory);
    return state;
}

static void remove_state(struct state *state) {
    struct error err;
    cr_assert(checkpoint_remove(state->directory, PIPELINE, &err), "%s", err.text);
    cr_assert_eq(rmdir(state->directory), 0, "nothing else was left in the directory");
}

static struct checkpoint sample(lsn_t end_lsn) {
    struct checkpoint checkpoint = {.phase = CHECKPOINT_STREAMING,
                                    .system_id = UINT64_C(7312345678901234567),
                                    .timeline = 3,
                                    .slot = "shop_slot",
                                    .sink_count = 2};
    checkpoint.sinks[0] =
        (struct checkpoint_sink){"warehouse", "", {end_lsn, 0, 0, UINT64_C(7312345678901234567), 3}};
    checkpoint.sinks[1] =
        (struct checkpoint_sink){"events", "", {end_lsn + 8, 0x77, 12, UINT64_C(7312345678901234567), 3}};
    return checkpoint;
}

static void write_checkpoint(const struct state *state, struct checkpoint *checkpoint) {
    struct error err;
    cr_assert(checkpoint_write(state->directory, PIPELINE, checkpoint, &err), "%s", err.text);
}

static struct checkpoint read_checkpoint(const struct state *state) {
    struct checkpoint checkpoint;
    struct error err;
    cr_assert(checkpoint_read(state->directory, PIPELINE, &checkpoint, &err), "%s", err.text);
    return checkpoint;
}

/* The position of a sink in a stream; NULL: the slot's. */
static const struct checkpoint_sink *find(const struct checkpoint *checkpoint, const char *name,
                                          const char *stream) {
    return checkpoint_find(checkpoint, &(const struct sink_config){.name = name, .stream = stream});
}

static size_t load(const char *path, char *bytes, size_t size_max) {
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    size_t size = fread(bytes, 1, size_max, file);
    fclose(file);
    return size;
}

static void store(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

Test(checkpoint, a_directory_without_files_knows_nothing) {
    AUTO(remove_state) struct state state = new_state();
    cr_assert_eq(read_checkpoint(&state).phase, CHECKPOINT_NONE);
}

Test(checkpoint, what_was_written_is_read) {
    AUTO(remove_state) struct state state = new_state();
    struct checkpoint written = sample(0x16B3748);
    write_checkpoint(&state, &written);
    struct checkpoint read = read_checkpoint(&state);
    cr_assert_eq(read.generation, 1);
    cr_assert_eq(read.system_id, written.system_id);
    cr_assert_str_eq(read.slot, "shop_slot");
    cr_assert_eq(read.sink_count, 2);
    cr_assert_eq(read.sinks[0].position.end_lsn, 0x16B3748);
    cr_assert_eq(find(&read, "events", NULL)->position.index, 12);
    cr_assert_eq(find(&read, "events", NULL)->position.commit_lsn, 0x77);
    cr_assert_null(find(&read, "nobody", NULL));
}

/* ---- files of other versions ---- */

/* As a pgcdc before streams wrote it. */
static const char BEFORE_STREAMS[] = "pgcdc checkpoint 1\n"
                                     "generation 1\n"
                                     "phase streaming\n"
                                     "system 7312345678901234567\n"
                                     "timeline 3\n"
                                     "slot shop_slot\n"
                                     "sink warehouse 0/16B3748 0/0 0 7312345678901234567 3\n"
                                     "sink events 0/16B3750 0/77 12 7312345678901234567 3\n"
                                     "crc32 4a627a83\n";

/* Ends the text with its checksum and stores it as the only generation. */
static void store_whole(const struct state *state, const char *text) {
    char whole[1024];
    int size = snprintf(whole, sizeof whole, "%scrc32 %08lx\n", text,
                        crc32(crc32(0, NULL, 0), (const unsigned char *) text, (unsigned) strlen(text)));
    store(state->current, whole, (size_t) size);
}

Test(checkpoint, a_file_from_before_streams_is_the_slot_s) {
    AUTO(remove_state) struct state state = new_state();
    store(state.current, BEFORE_STREAMS, sizeof BEFORE_STREAMS - 1);
    struct checkpoint read = read_checkpoint(&state);
    cr_assert_eq(read.phase, CHECKPOINT_STREAMING);
    cr_assert_str_eq(read.sinks[1].stream, "");
    cr_assert_eq(find(&read, "events", NULL)->position.end_lsn, 0x16B3750);
    cr_assert_null(find(&read, "events", "orders/3"));
}

/* So it can be installed again. */
Test(checkpoint, without_streams_the_file_is_as_before_them) {
    AUTO(remove_state) struct state state = new_state();
    struct checkpoint checkpoint = sample(0x16B3748);
    char bytes[4096];
    write_checkpoint(&state, &checkpoint);
    cr_assert_eq(load(state.current, bytes, sizeof bytes), sizeof BEFORE_STREAMS - 1);
    cr_assert_arr_eq(bytes, BEFORE_STREAMS, sizeof BEFORE_STREAMS - 1);
}

Test(checkpoint, each_stream_has_its_position) {
    AUTO(remove_state) struct state state = new_state();
    struct checkpoint checkpoint = sample(100);
    checkpoint.sinks[1] = checkpoint.sinks[0];
    checkpoint.sinks[1].position.end_lsn = 200;
    memset(checkpoint.sinks[1].stream, 'x', CHECKPOINT_STREAM_MAX - 1);
    write_checkpoint(&state, &checkpoint);
    struct checkpoint read = read_checkpoint(&state);
    cr_assert_eq(find(&read, "warehouse", NULL)->position.end_lsn, 100);
    cr_assert_eq(find(&read, "warehouse", checkpoint.sinks[1].stream)->position.end_lsn, 200);
}

/* An older generation beside it must not be used instead: the newer pgcdc has gone on from there. */
Test(checkpoint, a_file_of_a_newer_pgcdc_is_not_taken_for_damaged) {
    static const char *const TEXTS[] = {
        "pgcdc checkpoint 2\ngeneration 1\nphase streaming\nslot shop\n",
        "pgcdc checkpoint 1\ngeneration 1\nphase streaming\nslot shop\nlease 12\n",
        "pgcdc checkpoint 1\ngeneration 1\nphase moving\nslot shop\n",
        "pgcdc checkpoint 1\ngeneration 1\nphase streaming\nslot shop\nsink a 0/1 0/0 0 7 1 s 9\n",
        "pgcdc checkpoint 1\ngeneration 1\nphase streaming\nslot shop\nsink a 0/1 0/0 0 7 1 \n",
    };
    AUTO(remove_state) struct state state = new_state();
    store(state.previous, BEFORE_STREAMS, sizeof BEFORE_STREAMS - 1);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        store_whole(&state, TEXTS[i]);
        struct checkpoint read = read_checkpoint(&state);
        cr_assert_eq(read.phase, CHECKPOINT_NEWER, "%s", TEXTS[i]);
        cr_assert_eq(read.sink_count, 0);
    }
}

Test(checkpoint, the_slot_may_be_told_the_smallest_position) {
    struct checkpoint checkpoint = sample(100);
    cr_assert_eq(checkpoint_confirmed_lsn(&checkpoint), 100);
    checkpoint.sinks[1].position.end_lsn = 40;
    cr_assert_eq(checkpoint_confirmed_lsn(&checkpoint), 40);
}

Test(checkpoint, the_generation_before_stays) {
    AUTO(remove_state) struct state state = new_state();
    struct checkpoint checkpoint = sample(100);
    write_checkpoint(&state, &checkpoint);
    checkpoint.sinks[0].position.end_lsn = 200;
    write_checkpoint(&state, &checkpoint);
    cr_assert_eq(read_checkpoint(&state).sinks[0].position.end_lsn, 200);
    cr_assert_eq(unlink(state.current), 0);
    struct checkpoint read = read_checkpoint(&state);
    cr_assert_eq(read.sinks[0].position.end_lsn, 100, "a kill between the two renames leaves the older one");
    cr_assert_eq(read.generation, 1);
}

/* ---- damage ---- */

/* Damages the only generation there is and asks what is read. */
static void expect_corrupt(const struct state *state, const char *bytes, size_t size, const char *what,
                           size_t at) {
    store(state->current, bytes, size);
    cr_assert_eq(read_checkpoint(state).phase, CHECKPOINT_CORRUPT, "%s at %zu was taken for whole", what, at);
}

Test(checkpoint, every_truncation_is_noticed) {
    AUTO(remove_state) struct state state = new_state();
    struct checkpoint checkpoint = sample(0x16B3748);
    char bytes[4096];
    write_checkpoint(&state, &checkpoint);
    size_t size = load(state.current, bytes, sizeof bytes);
    for (size_t length = 0; length < size; length++)
        expect_corrupt(&state, bytes, length, "a truncation", length);
}

Test(checkpoint, every_changed_byte_is_noticed) {
    AUTO(remove_state) struct state state = new_state();
    struct checkpoint checkpoint = sample(0x16B3748);
    char bytes[4096];
    write_checkpoint(&state, &checkpoint);
    size_t size = load(state.current, bytes, sizeof bytes);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] = (char) (bytes[at] ^ 1 << bit);
            expect_corrupt(&state, bytes, size, "a flipped bit", at);
            bytes[at] = (char) (bytes[at] ^ 1 << bit);
        }
}

Test(checkpoint, a_damaged_one_gives_way_to_the_one_before) {
    AUTO(remove_state) struct state state = new_state();
    struct checkpoint checkpoint = sample(100);
    char bytes[4096];
    write_checkpoint(&state, &checkpoint);
    checkpoint.sinks[0].position.end_lsn = 200;
    write_checkpoint(&state, &checkpoint);
    size_t size = load(state.current, bytes, sizeof bytes);
    store(state.current, bytes, size / 2);
    cr_assert_eq(read_checkpoint(&state).sinks[0].position.end_lsn, 100);
}

Test(checkpoint, a_left_over_temporary_file_does_no_harm) {
    AUTO(remove_state) struct state state = new_state();
    char path[160];
    snprintf(path, sizeof path, "%s.new", state.current);
    store(path, "half of", 7);
    struct checkpoint checkpoint = sample(100);
    write_checkpoint(&state, &checkpoint);
    cr_assert_eq(read_checkpoint(&state).sinks[0].position.end_lsn, 100);
}

Test(checkpoint, a_directory_that_is_not_there_is_an_error) {
    struct checkpoint checkpoint = sample(100);
    struct error err = {0};
    cr_assert_not(checkpoint_write("/nonexistent/pgcdc", PIPELINE, &checkpoint, &err));
    cr_assert_eq(err.kind, ERROR_SYSTEM);
    cr_assert_not_null(strstr(err.text, "/nonexistent/pgcdc"));
}
