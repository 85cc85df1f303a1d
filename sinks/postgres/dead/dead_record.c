/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_record.c - each record is a segment of its own, so that it can be read alone.
 */
#include "sinks/postgres/dead/dead_record.h"

#include "cdc/base/hash.h"

#define RECORD_BYTES_MAX ((size_t) 1 << 30) /* of a bytea */

void dead_record_writer_init(struct dead_record_writer *writer) {
    entry_writer_init(&writer->entries);
    buffer_init(&writer->record, RECORD_BYTES_MAX);
}

void dead_record_writer_release(struct dead_record_writer *writer) {
    entry_writer_release(&writer->entries);
    buffer_release(&writer->record);
}

/* The Begin tells the reader that the change's number counts from the transaction's first one. */
bool dead_record_write(struct dead_record_writer *writer, const struct change *change,
                       struct slice *ret_record, struct error *err) {
    const struct change begin = {
        .kind = CHANGE_BEGIN, .lsn = change->lsn, .transaction = change->transaction};
    struct change row = *change;
    if (row.kind == CHANGE_READ)
        row.kind = CHANGE_INSERT;
    buffer_reset(&writer->record);
    entry_writer_begin_segment(&writer->entries);
    if (!entry_write(&writer->entries, &begin, &writer->record, err) ||
        !entry_write(&writer->entries, &row, &writer->record, err))
        return false;
    *ret_record = buffer_slice(&writer->record);
    return true;
}

/* ---- reading ---- */

struct dead_definition {
    struct slice bytes;
    const struct relation *relation;
};

void dead_record_reader_init(struct dead_record_reader *reader) {
    *reader = (struct dead_record_reader){0};
    entry_reader_init(&reader->entries);
}

void dead_record_reader_release(struct dead_record_reader *reader) {
    map_release(&reader->relations);
    entry_reader_release(&reader->entries);
}

static bool has_bytes(const void *object, const void *key) {
    return slice_equal(((const struct dead_definition *) object)->bytes, *(const struct slice *) key);
}

static bool take_definition(void *context, uint32_t number, struct slice definition, struct error *err) {
    (void) number;
    (void) err;
    *(struct slice *) context = definition;
    return true;
}

/* The sink knows a table by its relation's address, and looks each one up once. */
static bool share_relation(struct dead_record_reader *reader, struct slice record, struct change *change,
                           struct error *err) {
    struct slice bytes = {0};
    if (!entry_find_definitions(record, take_definition, &bytes, err))
        return false;
    const uint64_t hash = hash_bytes(0, bytes.data, bytes.size);
    struct dead_definition *known = map_find(&reader->relations, hash, has_bytes, &bytes);
    if (known == NULL) {
        struct arena *arena = &reader->entries.arena;
        known = arena_alloc(arena, sizeof *known);
        if (known == NULL)
            return error_no_memory(err);
        *known = (struct dead_definition){.bytes = {.data = arena_copy(arena, bytes), .size = bytes.size},
                                          .relation = change->relation};
        if (known->bytes.data == NULL || !map_put(&reader->relations, hash, has_bytes, &bytes, known))
            return error_no_memory(err);
    }
    change->relation = known->relation;
    return true;
}

bool dead_record_read(struct dead_record_reader *reader, struct slice record, struct arena *arena,
                      struct change *ret_change, struct error *err) {
    bool got = false;
    entry_reader_begin_segment(&reader->entries);
    reader->entries.transaction = (struct transaction){0};
    reader->entries.shared_arena = NULL;
    entry_reader_begin_frame(&reader->entries, record);
    do {
        if (!entry_read(&reader->entries, arena, ret_change, &got, err))
            return false;
        if (!got)
            return error_set(err, ERROR_PROTOCOL, "target: a record of pgcdc.dead holds no change");
    } while (ret_change->kind == CHANGE_BEGIN);
    if (!change_is_row(ret_change))
        return error_set(err, ERROR_PROTOCOL, "target: a record of pgcdc.dead holds no row");
    return share_relation(reader, record, ret_change, err);
}
