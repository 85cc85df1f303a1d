/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_test.c - what is written into an archive is read from it, whatever happens to the file: every
 * length to which its end can be cut, and every byte that can change.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/archive/archive_cursor.h"
#include "cdc/readers/archive/archive_reader.h"
#include "decoder/decoder.h"
#include "sinks/types.h"
#include "tests/support/archive_folder.h"
#include "tests/support/change_builder.h"
#include "tests/support/change_text.h"
#include "tests/support/recording.h"
#include "tests/support/sink_calls.h"

#define TEXT_BYTES_MAX ((size_t) 256 * 1024 * 1024)

/* ---- an archive in a folder of its own ---- */

struct scene {
    char directory[64];
    char path[80];
    struct sink_option options[3];
    struct sink_config config;
    struct sink *sink;
    struct position position;
};

static void open_sink(struct scene *scene) {
    struct error err = {0};
    scene->sink = sink_new(&sink_archive, &scene->config, &NEVER_STOPPED);
    cr_assert_not_null(scene->sink);
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

static void scene_init(struct scene *scene, const char *segment_bytes) {
    *scene = (struct scene){.directory = "/tmp/pgcdc_archive_XXXXXX"};
    cr_assert_not_null(mkdtemp(scene->directory));
    snprintf(scene->path, sizeof scene->path, "%s/a", scene->directory);
    scene->options[0] = (struct sink_option){"path", scene->path};
    scene->options[1] = (struct sink_option){"segment_bytes", segment_bytes};
    scene->config = (struct sink_config){
        .pipeline = "p", .name = "s", .database = "d", .options = scene->options, .option_count = 2};
    open_sink(scene);
}

static void scene_release(struct scene *scene) {
    close_sink(scene);
    remove_archive(scene->path);
    cr_assert_eq(rmdir(scene->directory), 0);
}

static struct position position_at(lsn_t end_lsn) {
    return (struct position){.end_lsn = end_lsn, .system_id = 7, .timeline = 1};
}

/* Everything that the archive has, as text, and its position; false with an error. */
static bool read_archive(const struct scene *scene, lsn_t from_lsn, struct buffer *text, lsn_t *ret_lsn,
                         struct error *err) {
    struct archive_cursor cursor;
    struct arena arena;
    enum archive_step step = ARCHIVE_CHANGE;
    struct change change;
    bool is_read = archive_cursor_open(&cursor, scene->path, from_lsn, err);
    arena_init(&arena, 64 * 1024, TEXT_BYTES_MAX);
    *ret_lsn = 0;
    while (is_read && step != ARCHIVE_DRAINED) {
        const struct relation *described = NULL;
        is_read = archive_cursor_next(&cursor, &arena, &step, &change, ret_lsn, err);
        if (is_read && step == ARCHIVE_CHANGE)
            change_text_append(text, &change, NULL, &described);
    }
    arena_release(&arena);
    archive_cursor_close(&cursor);
    return is_read;
}

/* ---- recorded streams ---- */

/* Writes the stream, one commit a transaction, and what it holds into text. */
static lsn_t write_recording(struct scene *scene, const char *path, bool reopens, struct buffer *text) {
    AUTO(recording_close) struct recording recording = {0};
    struct decoder *decoder = decoder_new();
    struct arena arena;
    struct error err = {0};
    struct slice message;
    lsn_t lsn, end_lsn = 0;
    size_t text_size = 0;
    arena_init(&arena, 64 * 1024, TEXT_BYTES_MAX);
    cr_assert(recording_open(&recording, path));
    while (recording_next(&recording.cursor, &lsn, &message)) {
        const struct relation *described = NULL;
        struct change *change = NULL;
        if (!decoder_decode(decoder, lsn, message, &arena, &change, &err))
            break; /* it holds what a reader refuses */
        if (change == NULL)
            continue;
        change_text_append(text, change, NULL, &described);
        cr_assert(sink_write(scene->sink, change, 1, &err), "%s", err.text);
        if (change->kind != CHANGE_COMMIT)
            continue;
        end_lsn = change->end_lsn;
        text_size = text->size;
        const struct position position = position_at(end_lsn);
        cr_assert(sink_flush(scene->sink, &position, &err), "%s", err.text);
        if (reopens) {
            close_sink(scene);
            open_sink(scene);
            cr_assert_eq(scene->position.end_lsn, end_lsn);
        }
    }
    text->size = text_size; /* what was not committed is not there */
    arena_release(&arena);
    decoder_free(decoder);
    return end_lsn;
}

static void expect_recordings(const char *segment_bytes, bool reopens) {
    AUTO(globfree) glob_t recordings = {0};
    size_t played = 0;
    cr_assert_eq(glob(PGCDC_GOLDEN "/*.bin", 0, NULL, &recordings), 0);
    for (size_t i = 0; i < recordings.gl_pathc; i++) {
        AUTO(scene_release) struct scene scene;
        AUTO(buffer_release) struct buffer expected = {.bytes_max = TEXT_BYTES_MAX};
        AUTO(buffer_release) struct buffer text = {.bytes_max = TEXT_BYTES_MAX};
        struct error err = {0};
        lsn_t read_lsn;
        scene_init(&scene, segment_bytes);
        const lsn_t end_lsn = write_recording(&scene, recordings.gl_pathv[i], reopens, &expected);
        close_sink(&scene);
        cr_assert(read_archive(&scene, 0, &text, &read_lsn, &err), "%s", err.text);
        cr_assert_eq(read_lsn, end_lsn, "%s", recordings.gl_pathv[i]);
        cr_assert_str_eq(buffer_text(&text), buffer_text(&expected), "%s", recordings.gl_pathv[i]);
        played += end_lsn != 0;
    }
    cr_assert_gt(played, 10);
}

Test(archive, what_is_written_is_read) {
    expect_recordings("1MB", false);
}

Test(archive, it_continues_where_it_ended) {
    expect_recordings("1MB", true);
}

/* ---- a small archive ---- */

enum { TRANSACTIONS = 12, ROWS_MAX = 4 };

struct small {
    struct scene scene;
    struct change_builder builder;
    const struct relation *relation;
    struct position positions[TRANSACTIONS]; /* after each transaction */
    struct buffer texts[TRANSACTIONS];       /* everything up to it */
    uint64_t sizes[TRANSACTIONS];            /* of the file */
    char file[256];
};

static uint64_t size_of(const char *path) {
    struct stat file;
    cr_assert_eq(stat(path, &file), 0);
    return (uint64_t) file.st_size;
}

static void find_file(struct small *small) {
    AUTO(globfree) glob_t files = {0};
    char pattern[128];
    snprintf(pattern, sizeof pattern, "%s/*.segment", small->scene.path);
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    snprintf(small->file, sizeof small->file, "%s", files.gl_pathv[files.gl_pathc - 1]);
}

static void write_transaction(struct small *small, int i) {
    struct error err = {0};
    char id[16], text[64];
    change_builder_begin(&small->builder);
    for (int row = 0; row < 1 + i % ROWS_MAX; row++) {
        snprintf(id, sizeof id, "%d", i * ROWS_MAX + row);
        snprintf(text, sizeof text, "a value of %d, and of %d", i, row);
        change_builder_insert(&small->builder, small->relation, ROW(id, text));
    }
    change_builder_commit(&small->builder);
    cr_assert(sink_write(small->scene.sink, small->builder.changes, small->builder.count, &err), "%s",
              err.text);
    small->positions[i] = change_builder_position(&small->builder);
    cr_assert(sink_flush(small->scene.sink, &small->positions[i], &err), "%s", err.text);
    if (i > 0)
        buffer_append_slice(&small->texts[i], buffer_slice(&small->texts[i - 1]));
    for (size_t change = 0; change < small->builder.count; change++) {
        const struct relation *described = NULL;
        change_text_append(&small->texts[i], &small->builder.changes[change], NULL, &described);
    }
    change_builder_clear(&small->builder);
}

static void small_init(struct small *small) {
    *small = (struct small){0};
    change_builder_init(&small->builder);
    small->relation =
        change_builder_relation(&small->builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
    scene_init(&small->scene, "1MB");
    for (int i = 0; i < TRANSACTIONS; i++) {
        small->texts[i].bytes_max = TEXT_BYTES_MAX;
        write_transaction(small, i);
        if (i == 0)
            find_file(small);
        small->sizes[i] = size_of(small->file);
    }
    close_sink(&small->scene);
}

static void small_release(struct small *small) {
    scene_release(&small->scene);
    change_builder_release(&small->builder);
    for (int i = 0; i < TRANSACTIONS; i++)
        buffer_release(&small->texts[i]);
}

/* How many transactions a file of this size has. */
static int whole_of(const struct small *small, uint64_t size) {
    int count = 0;
    while (count < TRANSACTIONS && small->sizes[count] <= size)
        count++;
    return count;
}

static void expect_count(const struct small *small, int count) {
    AUTO(buffer_release) struct buffer text = {.bytes_max = TEXT_BYTES_MAX};
    struct error err = {0};
    lsn_t lsn;
    cr_assert(read_archive(&small->scene, 0, &text, &lsn, &err), "%s", err.text);
    cr_assert_eq(lsn, count > 0 ? small->positions[count - 1].end_lsn : 0, "of %d", count);
    if (count == 0)
        cr_assert_eq(text.size, 0);
    else
        cr_assert(slice_equal(buffer_slice(&text), buffer_slice(&small->texts[count - 1])), "of %d", count);
}

Test(archive, every_length_to_which_its_end_is_cut_has_the_transactions_before) {
    AUTO(small_release) struct small small;
    small_init(&small);
    const uint64_t head_size = 64 + 64; /* less than the segment's head has */
    for (uint64_t size = small.sizes[TRANSACTIONS - 1]; size > small.sizes[0] - head_size; size--) {
        struct error err = {0};
        cr_assert_eq(truncate(small.file, (off_t) size), 0);
        const int count = whole_of(&small, size);
        expect_count(&small, count);
        if (size % 16 != 0)
            continue;
        open_sink(&small.scene);
        cr_assert_eq(small.scene.position.end_lsn, count > 0 ? small.positions[count - 1].end_lsn : 0);
        if (count > 0)
            cr_assert_eq(size_of(small.file), small.sizes[count - 1]);
        close_sink(&small.scene);
        size = count > 0 ? small.sizes[count - 1] : size;
        expect_count(&small, count);
        (void) err;
    }
}

static void flip(const char *path, uint64_t offset, unsigned bit) {
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, &byte, 1, (off_t) offset), 1);
    byte ^= (unsigned char) (1u << bit);
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t) offset), 1);
    close(fd);
}

/*
 * The archive refuses and names the place, or, where no later frame says that this place was on disk, it has
 * the transactions before. It never has another change.
 */
Test(archive, every_byte_that_changes_is_found) {
    AUTO(small_release) struct small small;
    size_t refused = 0;
    small_init(&small);
    for (uint64_t offset = 0; offset < small.sizes[TRANSACTIONS - 1]; offset++) {
        AUTO(buffer_release) struct buffer text = {.bytes_max = TEXT_BYTES_MAX};
        struct error err = {0};
        lsn_t lsn;
        flip(small.file, offset, (unsigned) (offset % 8));
        if (read_archive(&small.scene, 0, &text, &lsn, &err)) {
            const int count = whole_of(&small, offset);
            cr_assert_geq(count, TRANSACTIONS - 1, "byte %lu is not found", (unsigned long) offset);
            cr_assert_eq(lsn, small.positions[count - 1].end_lsn);
            cr_assert(slice_equal(buffer_slice(&text), buffer_slice(&small.texts[count - 1])));
        } else {
            cr_assert_not_null(strstr(err.text, small.file), "%s", err.text);
            cr_assert(err.kind == ERROR_REFUSE || err.kind == ERROR_CONFIG, "%s", err.text);
            refused++;
        }
        flip(small.file, offset, (unsigned) (offset % 8));
    }
    cr_assert_gt(refused, small.sizes[TRANSACTIONS - 2] - 1);
    expect_count(&small, TRANSACTIONS);
}

/* Until its first position an archive's LSN is 0, and so is that of the frames that say what was synced. */
Test(archive, damage_before_the_first_position_is_no_torn_end) {
    AUTO(scene_release) struct scene scene;
    AUTO(buffer_release) struct buffer text = {.bytes_max = TEXT_BYTES_MAX};
    AUTO(globfree) glob_t files = {0};
    struct error err = {0};
    char pattern[128], head[FRAME_HEAD_BYTES];
    lsn_t lsn;
    scene_init(&scene, "1MB");
    const struct position position = position_at(100);
    cr_assert(sink_flush(scene.sink, &position, &err), "%s", err.text);
    close_sink(&scene);
    snprintf(pattern, sizeof pattern, "%s/*.segment", scene.path);
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    const uint64_t size = size_of(files.gl_pathv[0]);
    const struct frame later = {.kind = FRAME_ENTRIES, .codec = FRAME_CODEC_NONE, .synced_bytes = size};
    frame_write_head(&later, head);
    const int fd = open(files.gl_pathv[0], O_WRONLY | O_APPEND | O_CLOEXEC);
    cr_assert_eq(write(fd, head, sizeof head), (ssize_t) sizeof head);
    close(fd);
    flip(files.gl_pathv[0], size - FRAME_HEAD_BYTES, 0);
    cr_assert_not(read_archive(&scene, 0, &text, &lsn, &err));
    cr_assert_eq(err.kind, ERROR_REFUSE, "%s", err.text);
    cr_assert_not_null(strstr(err.remedy, "restore the file from a copy"), "%s", err.remedy);
}

static size_t count_segments(const struct small *small) {
    AUTO(globfree) glob_t files = {0};
    char pattern[128];
    snprintf(pattern, sizeof pattern, "%s/*.segment", small->scene.path);
    return glob(pattern, 0, NULL, &files) == 0 ? files.gl_pathc : 0;
}

/* ---- what a writer finds ---- */

Test(archive, a_transaction_that_was_not_committed_is_cut_off) {
    AUTO(small_release) struct small small;
    struct error err = {0};
    small_init(&small);
    open_sink(&small.scene);
    change_builder_begin(&small.builder);
    char text[20000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int row = 0; row < 200; row++)
        change_builder_insert(&small.builder, small.relation, ROW("1000", text));
    cr_assert(sink_write(small.scene.sink, small.builder.changes, small.builder.count, &err), "%s", err.text);
    cr_assert_gt(size_of(small.file), small.sizes[TRANSACTIONS - 1]);
    expect_count(&small, TRANSACTIONS);
    close_sink(&small.scene);
    expect_count(&small, TRANSACTIONS);
    open_sink(&small.scene);
    cr_assert_eq(size_of(small.file), small.sizes[TRANSACTIONS - 1]);
    cr_assert_eq(small.scene.position.end_lsn, small.positions[TRANSACTIONS - 1].end_lsn);
}

Test(archive, two_writers_are_refused) {
    AUTO(small_release) struct small small;
    struct error err = {0};
    struct position position;
    small_init(&small);
    open_sink(&small.scene);
    struct sink *second = sink_new(&sink_archive, &small.scene.config, &NEVER_STOPPED);
    cr_assert_not(second->ops->open(second, &position, &err));
    cr_assert_eq(err.kind, ERROR_RETRY);
    cr_assert_not_null(strstr(err.text, "another process writes it"), "%s", err.text);
    second->ops->close(second);
    cr_assert_not(second->ops->admin->drop(second, &err), "a drop would move what is being written");
    cr_assert_not_null(strstr(err.text, "another process writes it"), "%s", err.text);
    cr_assert_eq(count_segments(&small), 1);
    sink_free(second);
}

Test(archive, that_of_another_pipeline_is_refused) {
    AUTO(small_release) struct small small;
    struct error err = {0};
    struct position position;
    small_init(&small);
    small.scene.config.pipeline = "q";
    struct sink *sink = sink_new(&sink_archive, &small.scene.config, &NEVER_STOPPED);
    cr_assert_not(sink->ops->open(sink, &position, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
    cr_assert_not_null(strstr(err.text, "belongs to sink s of pipeline p"), "%s", err.text);
    sink->ops->close(sink);
    sink_free(sink);
}

/* ---- segments ---- */

/* Random texts, which do not compress. */
static void write_large(struct small *small, unsigned seed, struct buffer *expected) {
    struct error err = {0};
    char text[4096];
    srand(seed);
    change_builder_begin(&small->builder);
    for (int row = 0; row < 20; row++) {
        for (size_t i = 0; i < sizeof text - 1; i++)
            text[i] = (char) ('!' + rand() % 90);
        text[sizeof text - 1] = '\0';
        change_builder_insert(&small->builder, small->relation, ROW("5", text));
    }
    change_builder_commit(&small->builder);
    for (size_t change = 0; change < small->builder.count; change++) {
        const struct relation *described = NULL;
        change_text_append(expected, &small->builder.changes[change], NULL, &described);
    }
    cr_assert(sink_write(small->scene.sink, small->builder.changes, small->builder.count, &err), "%s",
              err.text);
    const struct position position = change_builder_position(&small->builder);
    cr_assert(sink_flush(small->scene.sink, &position, &err), "%s", err.text);
    change_builder_clear(&small->builder);
}

Test(archive, a_full_segment_is_closed_and_found_by_its_index) {
    AUTO(small_release) struct small small;
    AUTO(buffer_release) struct buffer expected = {.bytes_max = TEXT_BYTES_MAX};
    struct error err = {0};
    lsn_t lsn;
    small_init(&small);
    small.scene.options[1].value = "64kB";
    open_sink(&small.scene);
    buffer_append_slice(&expected, buffer_slice(&small.texts[TRANSACTIONS - 1]));
    lsn_t middle_lsn = 0;
    size_t middle_size = 0;
    for (unsigned i = 0; i < 8; i++) {
        write_large(&small, i, &expected);
        if (i == 4) {
            middle_lsn = small.builder.end_lsn;
            middle_size = expected.size;
        }
    }
    cr_assert_gt(count_segments(&small), 3);
    AUTO(buffer_release) struct buffer text = {.bytes_max = TEXT_BYTES_MAX};
    cr_assert(read_archive(&small.scene, 0, &text, &lsn, &err), "%s", err.text);
    cr_assert(slice_equal(buffer_slice(&text), buffer_slice(&expected)));
    cr_assert_eq(lsn, small.builder.end_lsn);
    AUTO(buffer_release) struct buffer rest = {.bytes_max = TEXT_BYTES_MAX};
    cr_assert(read_archive(&small.scene, middle_lsn, &rest, &lsn, &err), "%s", err.text);
    const struct slice after = {.data = expected.data + middle_size, .size = expected.size - middle_size};
    cr_assert_geq(rest.size, after.size);
    cr_assert_lt(rest.size, expected.size, "it begins in the middle");
    const struct slice end = {.data = rest.data + rest.size - after.size, .size = after.size};
    cr_assert(slice_equal(end, after));
}

/* Whatever a closed segment lost, it is no torn end. */
Test(archive, a_closed_segment_that_is_cut_is_damaged) {
    AUTO(small_release) struct small small;
    AUTO(buffer_release) struct buffer expected = {.bytes_max = TEXT_BYTES_MAX};
    AUTO(buffer_release) struct buffer text = {.bytes_max = TEXT_BYTES_MAX};
    struct error err = {0};
    lsn_t lsn;
    small_init(&small);
    small.scene.options[1].value = "64kB";
    open_sink(&small.scene);
    for (unsigned i = 0; i < 3; i++)
        write_large(&small, i, &expected);
    close_sink(&small.scene);
    for (uint64_t cut = 1; cut < 70000; cut += 997) {
        struct buffer file AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
        const uint64_t size = size_of(small.file);
        cr_assert(buffer_reserve(&file, size));
        int fd = open(small.file, O_RDONLY | O_CLOEXEC);
        cr_assert_eq(read(fd, file.data, size), (ssize_t) size);
        close(fd);
        cr_assert_eq(truncate(small.file, (off_t) (size - cut)), 0);
        buffer_reset(&text);
        cr_assert_not(read_archive(&small.scene, 0, &text, &lsn, &err), "%lu bytes less",
                      (unsigned long) cut);
        cr_assert_eq(err.kind, ERROR_REFUSE, "%s", err.text);
        fd = open(small.file, O_WRONLY | O_TRUNC | O_CLOEXEC);
        cr_assert_eq(write(fd, file.data, size), (ssize_t) size);
        close(fd);
    }
}

Test(archive, a_missing_segment_is_a_loss) {
    AUTO(small_release) struct small small;
    AUTO(buffer_release) struct buffer expected = {.bytes_max = TEXT_BYTES_MAX};
    AUTO(globfree) glob_t files = {0};
    struct error err = {0};
    char pattern[128];
    lsn_t lsn;
    small_init(&small);
    small.scene.options[1].value = "64kB";
    open_sink(&small.scene);
    for (unsigned i = 0; i < 6; i++)
        write_large(&small, i, &expected);
    close_sink(&small.scene);
    snprintf(pattern, sizeof pattern, "%s/*.segment", small.scene.path);
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    cr_assert_gt(files.gl_pathc, 2);
    cr_assert_eq(unlink(files.gl_pathv[1]), 0);
    cr_assert_not(read_archive(&small.scene, 0, &expected, &lsn, &err));
    cr_assert_eq(err.kind, ERROR_REFUSE);
    cr_assert_not_null(strstr(err.text, "segment 2 is missing"), "%s", err.text);
}

static void read_some(struct reader *reader, struct batch *batch, struct error *err, bool *ret_good) {
    bool drained = false;
    *ret_good = true;
    while (*ret_good && !drained) {
        batch_empty(batch);
        *ret_good = reader->ops->read(reader, batch, &drained, err);
    }
}

/* ---- an end inside a commit record ---- */

/* Only what a transaction has brought to the sinks can be the end: a position between may not have left. */
Test(archive, the_end_before_a_transaction_is_that_of_the_one_before) {
    AUTO(small_release) struct small small;
    struct error err = {0};
    struct batch batch;
    struct reader_facts facts;
    bool good = false;
    small_init(&small);
    open_sink(&small.scene);
    const struct position idle = position_at(small.builder.end_lsn + 1);
    cr_assert(sink_flush(small.scene.sink, &idle, &err), "%s", err.text);
    small.builder.lsn += 64;
    change_builder_begin(&small.builder);
    change_builder_insert(&small.builder, small.relation, ROW("9000", "after the end"));
    change_builder_commit(&small.builder);
    const struct position last = change_builder_position(&small.builder);
    cr_assert_gt(last.end_lsn - 1, idle.end_lsn);
    cr_assert(sink_write(small.scene.sink, small.builder.changes, small.builder.count, &err), "%s", err.text);
    cr_assert(sink_flush(small.scene.sink, &last, &err), "%s", err.text);
    const struct config config = {.name = "p", .source = {.archive = small.scene.path, .slot = "p"}};
    struct reader *reader = reader_new(&reader_archive, &config, &NEVER_STOPPED);
    cr_assert(batch_init(&batch, &err));
    cr_assert(reader->ops->open(reader, &facts, &err), "%s", err.text);
    const struct reader_plan plan = {.from_lsn = facts.first_lsn, .until_lsn = last.end_lsn - 1};
    cr_assert(reader->ops->start(reader, &plan, &err), "%s", err.text);
    read_some(reader, &batch, &err, &good);
    cr_assert(good, "%s", err.text);
    cr_assert_eq(atomic_load(&reader->end_lsn), small.positions[TRANSACTIONS - 1].end_lsn);
    reader->ops->close(reader);
    reader_free(reader);
    batch_release(&batch);
}

/* ---- a promotion ---- */

Test(archive, a_reader_starts_again_where_the_timeline_changes) {
    AUTO(small_release) struct small small;
    struct error err = {0};
    struct batch batch;
    struct reader_facts facts;
    bool good = false;
    lsn_t fork_lsn = 0;
    small_init(&small);
    const struct config config = {.name = "p", .source = {.archive = small.scene.path, .slot = "p"}};
    struct reader *reader = reader_new(&reader_archive, &config, &NEVER_STOPPED);
    cr_assert(batch_init(&batch, &err));
    cr_assert(reader->ops->open(reader, &facts, &err), "%s", err.text);
    cr_assert_eq(facts.identity.timeline, 1);
    const struct reader_plan plan = {.from_lsn = facts.first_lsn};
    cr_assert(reader->ops->start(reader, &plan, &err), "%s", err.text);
    read_some(reader, &batch, &err, &good);
    cr_assert(good, "%s", err.text);
    const lsn_t end_lsn = reader->caught_up_lsn;
    cr_assert_eq(end_lsn, small.positions[TRANSACTIONS - 1].end_lsn);

    open_sink(&small.scene);
    small.scene.sink->facts.timeline = 2;
    small.scene.sink->ops->close(small.scene.sink);
    cr_assert(small.scene.sink->ops->open(small.scene.sink, &small.scene.position, &err), "%s", err.text);
    change_builder_begin(&small.builder);
    change_builder_insert(&small.builder, small.relation, ROW("1", "promoted"));
    change_builder_commit(&small.builder);
    struct position position = change_builder_position(&small.builder);
    position.timeline = 2;
    cr_assert(sink_write(small.scene.sink, small.builder.changes, small.builder.count, &err), "%s", err.text);
    cr_assert(sink_flush(small.scene.sink, &position, &err), "%s", err.text);

    read_some(reader, &batch, &err, &good);
    cr_assert_not(good);
    cr_assert_eq(err.kind, ERROR_RETRY, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "timeline is 2"), "%s", err.text);
    reader->ops->close(reader);
    cr_assert(reader->ops->open(reader, &facts, &err), "%s", err.text);
    cr_assert_eq(facts.identity.timeline, 2);
    cr_assert(reader->ops->fork_lsn(reader, 1, &fork_lsn, &err), "%s", err.text);
    cr_assert_eq(fork_lsn, end_lsn);
    const struct reader_plan again = {.from_lsn = end_lsn};
    cr_assert(reader->ops->start(reader, &again, &err), "%s", err.text);
    read_some(reader, &batch, &err, &good);
    cr_assert(good, "%s", err.text);
    cr_assert_eq(reader->caught_up_lsn, position.end_lsn);
    reader->ops->close(reader);
    reader_free(reader);
    batch_release(&batch);
}
