/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_chunks_test.c - a copy in chunks in an archive: its plan survives, its rows have a place, and
 * whatever happens to the file, they are there with their mark or not at all.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/archive/archive_cursor.h"
#include "cdc/archive/archive_state.h"
#include "sinks/types.h"
#include "tests/support/archive_folder.h"
#include "tests/support/change_builder.h"
#include "tests/support/sink_calls.h"

enum { CHUNKS = 4, STATES = 2 + 2 * CHUNKS, ROWS_OF_CHUNK = 3 };

/* After a commit. */
struct state {
    uint64_t size; /* of the file */
    lsn_t end_lsn;
    size_t rows, changes, copied; /* copied chunks */
    bool is_copying;
};

struct scene {
    char directory[64];
    char path[80];
    char file[256];
    struct sink_option options[2];
    struct sink_config config;
    struct sink *sink;
    struct position position;
    struct change_builder builder;
    const struct relation *relation;
    struct state states[STATES];
    size_t count;
    struct state now;
    uint64_t index;
};

static void open_sink(struct scene *scene) {
    struct error err = {0};
    scene->sink = sink_new(&sink_archive, &scene->config, &NEVER_STOPPED);
    scene->sink->facts = (struct sink_facts){.system_id = 7, .timeline = 1};
    cr_assert(scene->sink->ops->open(scene->sink, &scene->position, &err), "%s", err.text);
}

static void close_sink(struct scene *scene) {
    if (scene->sink == NULL)
        return;
    scene->sink->ops->close(scene->sink);
    sink_free(scene->sink);
    scene->sink = NULL;
}

static void find_file(struct scene *scene) {
    AUTO(globfree) glob_t files = {0};
    char pattern[128];
    snprintf(pattern, sizeof pattern, "%s/*.segment", scene->path);
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    snprintf(scene->file, sizeof scene->file, "%s", files.gl_pathv[files.gl_pathc - 1]);
}

static void note_state(struct scene *scene, lsn_t end_lsn) {
    struct stat file;
    find_file(scene);
    cr_assert_eq(stat(scene->file, &file), 0);
    scene->now.size = (uint64_t) file.st_size;
    scene->now.end_lsn = end_lsn;
    scene->states[scene->count++] = scene->now;
}

static struct position position_at(lsn_t end_lsn) {
    return (struct position){.end_lsn = end_lsn, .system_id = 7, .timeline = 1};
}

/* ---- what a runner does ---- */

static void store_plan(struct scene *scene, lsn_t end_lsn) {
    struct error err = {0};
    struct chunk chunks[CHUNKS];
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct chunk){.id = i + 1, .relation_oid = 1, .schema = "public", .table = "t"};
    const struct chunk_plan plan = {.snapshot = "100:200:150", .chunks = chunks, .count = CHUNKS};
    const struct position position = position_at(end_lsn);
    cr_assert(scene->sink->ops->chunk->store(scene->sink, &plan, &position, &err), "%s", err.text);
    scene->now.is_copying = true;
    note_state(scene, end_lsn);
}

static void write_chunk(struct scene *scene, uint32_t id, lsn_t place_lsn) {
    struct error err = {0};
    char text[16];
    struct transaction transaction = {.commit_lsn = place_lsn - 1, .commit_time_us = 1};
    const struct chunk chunk = {.id = id, .snapshot = "100:300:", .rows = ROWS_OF_CHUNK};
    change_builder_begin(&scene->builder);
    for (int row = 0; row < ROWS_OF_CHUNK; row++) {
        snprintf(text, sizeof text, "%d", (int) id * 10 + row);
        change_builder_insert(&scene->builder, scene->relation, ROW(text, "copied"));
    }
    for (size_t i = 1; i < scene->builder.count; i++) {
        struct change *row = &scene->builder.changes[i];
        row->kind = CHANGE_READ;
        row->transaction = &transaction;
        row->lsn = place_lsn;
        row->index = scene->index++;
    }
    cr_assert(sink_write(scene->sink, scene->builder.changes + 1, ROWS_OF_CHUNK, &err), "%s", err.text);
    cr_assert(scene->sink->ops->chunk->mark(scene->sink, &chunk, place_lsn, place_lsn, scene->index, &err),
              "%s", err.text);
    const struct position position = position_at(place_lsn);
    cr_assert(sink_flush(scene->sink, &position, &err), "%s", err.text);
    change_builder_clear(&scene->builder);
    scene->now.rows += ROWS_OF_CHUNK;
    scene->now.copied++;
    note_state(scene, place_lsn);
}

static lsn_t write_transaction(struct scene *scene, const char *id) {
    struct error err = {0};
    change_builder_begin(&scene->builder);
    change_builder_insert(&scene->builder, scene->relation, ROW(id, "streamed"));
    change_builder_commit(&scene->builder);
    const struct position position = change_builder_position(&scene->builder);
    cr_assert(sink_write(scene->sink, scene->builder.changes, scene->builder.count, &err), "%s", err.text);
    cr_assert(sink_flush(scene->sink, &position, &err), "%s", err.text);
    change_builder_clear(&scene->builder);
    scene->now.changes++;
    scene->index = 0;
    note_state(scene, position.end_lsn);
    return position.end_lsn;
}

static void end_copy(struct scene *scene, lsn_t end_lsn) {
    struct error err = {0};
    const struct chunk_note note = {.is_finished = true, .last_id = CHUNKS};
    const struct position position = position_at(end_lsn);
    cr_assert(scene->sink->ops->chunk->note(scene->sink, &note, &err), "%s", err.text);
    cr_assert(sink_flush(scene->sink, &position, &err), "%s", err.text);
    scene->now.is_copying = false;
    scene->now.copied = 0;
    note_state(scene, end_lsn);
}

static void scene_init(struct scene *scene) {
    *scene = (struct scene){.directory = "/tmp/pgcdc_chunks_XXXXXX"};
    cr_assert_not_null(mkdtemp(scene->directory));
    snprintf(scene->path, sizeof scene->path, "%s/a", scene->directory);
    scene->options[0] = (struct sink_option){"path", scene->path};
    scene->options[1] = (struct sink_option){"segment_bytes", "1MB"};
    scene->config = (struct sink_config){
        .pipeline = "p", .name = "s", .database = "d", .options = scene->options, .option_count = 2};
    change_builder_init(&scene->builder);
    scene->relation =
        change_builder_relation(&scene->builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
    open_sink(scene);
    store_plan(scene, 8);
    write_chunk(scene, 1, 8); /* at the place of the plan, two chunks at one place, and one later */
    const lsn_t first_lsn = write_transaction(scene, "1");
    write_chunk(scene, 2, first_lsn);
    write_chunk(scene, 3, first_lsn);
    write_transaction(scene, "2");
    const lsn_t third_lsn = write_transaction(scene, "3");
    write_chunk(scene, 4, third_lsn);
    const lsn_t last_lsn = write_transaction(scene, "4");
    end_copy(scene, last_lsn);
    cr_assert_eq(scene->count, STATES);
    close_sink(scene);
}

static void scene_release(struct scene *scene) {
    close_sink(scene);
    remove_archive(scene->path);
    cr_assert_eq(rmdir(scene->directory), 0);
    change_builder_release(&scene->builder);
}

/* ---- what is there ---- */

static bool read_archive(const struct scene *scene, struct state *ret_state, struct error *err) {
    struct archive_cursor cursor;
    struct arena arena;
    enum archive_step step = ARCHIVE_CHANGE;
    struct change change;
    bool is_read = archive_cursor_open(&cursor, scene->path, 0, err);
    *ret_state = (struct state){0};
    arena_init(&arena, 64 * 1024, 1 << 28);
    while (is_read && step != ARCHIVE_DRAINED) {
        lsn_t lsn = 0;
        is_read = archive_cursor_next(&cursor, &arena, &step, &change, &lsn, err);
        if (is_read && step == ARCHIVE_CHANGE) {
            ret_state->rows += change.kind == CHANGE_READ && change.transaction->is_chunk;
            ret_state->changes += change.kind == CHANGE_INSERT;
        } else if (is_read && step == ARCHIVE_POSITION) {
            ret_state->end_lsn = lsn;
            ret_state->is_copying = cursor.is_copying;
        }
    }
    arena_release(&arena);
    archive_cursor_close(&cursor);
    return is_read;
}

static size_t count_copied(struct scene *scene) {
    struct error err = {0};
    struct arena arena;
    struct chunk_plan plan;
    size_t copied = 0;
    open_sink(scene);
    arena_init(&arena, 64 * 1024, 1 << 20);
    cr_assert(scene->sink->ops->chunk->load(scene->sink, &arena, &plan, &err), "%s", err.text);
    for (size_t i = 0; i < plan.count; i++) {
        const struct chunk *chunk = &plan.chunks[i];
        cr_assert_str_eq(chunk->table, "t");
        cr_assert_eq(chunk->state == CHUNK_COPIED, chunk->snapshot != NULL);
        copied += chunk->state == CHUNK_COPIED;
    }
    arena_release(&arena);
    close_sink(scene);
    return copied;
}

static void expect_state(const struct state *found, const struct state *expected) {
    cr_assert_eq(found->end_lsn, expected->end_lsn);
    cr_assert_eq(found->rows, expected->rows, "%zu rows of %zu", found->rows, expected->rows);
    cr_assert_eq(found->changes, expected->changes);
    cr_assert_eq(found->is_copying, expected->is_copying);
}

/* The last state that a file of this size has. */
static const struct state *state_of(const struct scene *scene, uint64_t size) {
    static const struct state NONE;
    const struct state *state = &NONE;
    for (size_t i = 0; i < scene->count && scene->states[i].size <= size; i++)
        state = &scene->states[i];
    return state;
}

Test(archive_chunks, rows_are_there_with_their_mark_to_whatever_length_the_end_is_cut) {
    AUTO(scene_release) struct scene scene;
    const struct state *last = NULL;
    scene_init(&scene);
    for (uint64_t size = scene.states[STATES - 1].size; size > scene.states[0].size; size--) {
        struct error err = {0};
        struct state found;
        cr_assert_eq(truncate(scene.file, (off_t) size), 0);
        cr_assert(read_archive(&scene, &found, &err), "%s", err.text);
        const struct state *expected = state_of(&scene, size);
        expect_state(&found, expected);
        if (expected == last)
            continue;
        last = expected;
        cr_assert_eq(count_copied(&scene), expected->copied, "of %lu bytes", (unsigned long) size);
        size = expected->size;
    }
}

static void flip(const char *path, uint64_t offset, unsigned bit) {
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(pread(fd, &byte, 1, (off_t) offset), 1);
    byte ^= (unsigned char) (1u << bit);
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t) offset), 1);
    close(fd);
}

Test(archive_chunks, every_byte_that_changes_is_found) {
    AUTO(scene_release) struct scene scene;
    scene_init(&scene);
    for (uint64_t offset = 0; offset < scene.states[STATES - 1].size; offset++) {
        struct error err = {0};
        struct state found;
        flip(scene.file, offset, (unsigned) (offset % 8));
        if (read_archive(&scene, &found, &err)) {
            cr_assert_geq(offset, scene.states[STATES - 2].size, "byte %lu is not found",
                          (unsigned long) offset);
            expect_state(&found, &scene.states[STATES - 2]);
        } else {
            cr_assert_not_null(strstr(err.text, scene.file), "%s", err.text);
        }
        flip(scene.file, offset, (unsigned) (offset % 8));
    }
}

Test(archive_chunks, a_segment_that_begins_during_the_copy_has_the_plan) {
    AUTO(scene_release) struct scene scene;
    AUTO(globfree) glob_t files = {0};
    char pattern[128];
    scene_init(&scene);
    cr_assert_eq(truncate(scene.file, (off_t) scene.states[4].size), 0); /* three chunks are copied */
    scene.options[1].value = "64kB";
    open_sink(&scene);
    for (int i = 0; i < 40; i++) {
        struct error err = {0};
        char text[8192];
        for (size_t at = 0; at < sizeof text - 1; at++)
            text[at] = (char) ('!' + rand() % 90);
        text[sizeof text - 1] = '\0';
        change_builder_begin(&scene.builder);
        change_builder_insert(&scene.builder, scene.relation, ROW("5", text));
        change_builder_commit(&scene.builder);
        const struct position position = change_builder_position(&scene.builder);
        cr_assert(sink_write(scene.sink, scene.builder.changes, scene.builder.count, &err), "%s", err.text);
        cr_assert(sink_flush(scene.sink, &position, &err), "%s", err.text);
        change_builder_clear(&scene.builder);
    }
    close_sink(&scene);
    snprintf(pattern, sizeof pattern, "%s/*.segment", scene.path);
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    cr_assert_gt(files.gl_pathc, 3);
    for (size_t i = 0; i + 1 < files.gl_pathc; i++)
        cr_assert_eq(unlink(files.gl_pathv[i]), 0);
    cr_assert_eq(count_copied(&scene), 3);
}

Test(archive_chunks, the_state_at_an_lsn_is_known) {
    AUTO(scene_release) struct scene scene;
    struct error err = {0};
    struct archive_state state;
    scene_init(&scene);
    const struct state *last = &scene.states[STATES - 1];
    cr_assert(archive_state_find(scene.path, 7, &state, &err), "%s", err.text);
    cr_assert(state.is_whole, "before its beginning it lacks nothing");
    for (size_t i = 0; i < STATES; i++) {
        cr_assert(archive_state_find(scene.path, scene.states[i].end_lsn, &state, &err), "%s", err.text);
        cr_assert_eq(state.is_whole, scene.states[i].end_lsn == last->end_lsn);
        cr_assert_eq(state.whole_lsn, state.is_whole ? 0 : last->end_lsn);
    }
    cr_assert_not(archive_state_check(scene.path, "--until", scene.states[2].end_lsn, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
}
