/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_fuzz.c - any bytes, taken for entries, for an index, for the head of a segment and for frames.
 *
 * They are refused or read, and what is read holds together.
 *
 * With -Dfuzz=true and clang this is a libFuzzer target (corpus: tests/golden/archive); otherwise mutate.c
 * drives it.
 */
#include <assert.h>
#include <string.h>

#include "proto/entry.h"
#include "proto/frame.h"
#include "proto/segment_head.h"
#include "tests/fuzz/target.h"

#define ARENA_BYTES_MAX ((size_t) 64 * 1024 * 1024)

static void check_values(const struct relation *relation, const struct value *values) {
    volatile char last = 0;
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (values[i].size > 0)
            last = (char) (last ^ values[i].data[0] ^ values[i].data[values[i].size - 1]);
}

static void check_relation(const struct relation *relation) {
    assert(relation->column_count <= RELATION_COLUMNS_MAX);
    assert(relation->key_count <= relation->column_count);
    assert(relation->schema.data[relation->schema.size] == '\0');
    for (uint32_t i = 0; i < relation->column_count; i++)
        assert(relation->columns[i].name.data[relation->columns[i].name.size] == '\0');
}

static void check_row(const struct change *change) {
    check_relation(change->relation);
    assert(change->transaction != NULL);
    assert((change->old_values != NULL) == (change->old_kind != OLD_NONE));
    assert((change->new_values != NULL) == (change->kind != CHANGE_DELETE));
    if (change->old_values != NULL)
        check_values(change->relation, change->old_values);
    if (change->new_values != NULL)
        check_values(change->relation, change->new_values);
}

static void check_change(const struct change *change) {
    if (change_is_row(change))
        check_row(change);
    for (uint32_t i = 0; change->kind == CHANGE_TRUNCATE && i < change->relation_count; i++)
        check_relation(change->relations[i]);
    if (change->kind == CHANGE_COMMIT)
        assert(change->end_lsn > change->transaction->commit_lsn);
}

static void read_entries(struct slice bytes) {
    struct entry_reader reader;
    struct arena arena;
    struct change change;
    struct error err = {0};
    bool got = true;
    entry_reader_init(&reader);
    arena_init(&arena, 64 * 1024, ARENA_BYTES_MAX);
    entry_reader_begin_frame(&reader, bytes);
    while (got && entry_read(&reader, &arena, &change, &got, &err))
        if (got)
            check_change(&change);
    assert(err.kind == ERROR_NONE || err.text[0] != '\0');
    entry_reader_begin_segment(&reader);
    (void) !entry_reader_take_index(&reader, bytes, &err);
    arena_release(&arena);
    entry_reader_release(&reader);
}

static bool take_definition(void *context, uint32_t number, struct slice definition, struct error *err) {
    (void) err;
    return number == 0 || entry_writer_know(context, number, definition, err);
}

static void read_others(struct slice bytes) {
    struct entry_writer writer;
    struct segment_head head;
    struct segment_place *places;
    struct arena arena;
    struct frame frame;
    struct error err = {0};
    size_t count = 0;
    entry_writer_init(&writer);
    arena_init(&arena, 64 * 1024, ARENA_BYTES_MAX);
    (void) !entry_find_definitions(bytes, take_definition, &writer, &err);
    (void) !segment_index_read(bytes, &arena, &places, &count, &err);
    if (segment_head_read(bytes, &head, &err))
        assert(memchr(head.pipeline, '\0', sizeof head.pipeline) != NULL);
    (void) !frame_read_head(bytes, &frame);
    arena_release(&arena);
    entry_writer_release(&writer);
}

/* Checksums would stop every change, so they are made right: what follows them must hold too. */
static void read_frame(struct slice bytes) {
    struct buffer plain AUTO(buffer_release) = {.bytes_max = ARENA_BYTES_MAX};
    struct error err = {0};
    if (bytes.size < 4)
        return;
    struct frame frame = {.kind = FRAME_ENTRIES, .codec = FRAME_CODEC_ZSTD};
    frame.plain_bytes = (uint32_t) ((unsigned char) bytes.data[0] * 256u + (unsigned char) bytes.data[1]);
    const struct slice stored = {.data = bytes.data + 2, .size = bytes.size - 2};
    frame.stored_bytes = (uint32_t) stored.size;
    frame.checksum = frame_checksum(stored);
    if (frame_unpack(&frame, stored, &plain, &err))
        read_entries(buffer_slice(&plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct slice bytes = {.data = (const char *) data, .size = size};
    read_entries(bytes);
    read_others(bytes);
    read_frame(bytes);
    return 0;
}
