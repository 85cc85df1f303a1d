/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_head.c - protobuf-c packs and unpacks the heads; the index is written and read field by field.
 */
#include "proto/segment_head.h"

#include <string.h>

#include "proto/archive.pb-c.h"
#include "proto/entry_field.h"
#include "proto/wire_read.h"

enum { PLACE_BYTES_MAX = 3 * (1 + WIRE_VARINT_MAX) };
enum { PLACE_OFFSET = 1, PLACE_FIRST_LSN = 2, PLACE_COMMIT_TIME_US = 3 };

/* ---- the head ---- */

/* protobuf-c's texts are not const. */
static char *text_of(const char *text) {
    union {
        const char *from;
        char *to;
    } cast = {.from = text};
    return cast.to;
}

bool segment_head_write(const struct segment_head *head, struct buffer *plain, struct error *err) {
    Pgcdc__Archive__V1__SegmentHead message;
    pgcdc__archive__v1__segment_head__init(&message);
    message.version = SEGMENT_VERSION;
    message.pipeline = text_of(head->pipeline);
    message.sink = text_of(head->sink);
    message.system_id = head->system_id;
    message.timeline = head->timeline;
    message.database = text_of(head->database);
    message.number = head->number;
    message.first_lsn = head->first_lsn;
    message.created_time_us = head->created_time_us;
    message.program = text_of(head->program);
    const size_t size = pgcdc__archive__v1__segment_head__get_packed_size(&message);
    if (!buffer_reserve(plain, size))
        return error_no_memory(err);
    pgcdc__archive__v1__segment_head__pack(&message, (uint8_t *) plain->data + plain->size);
    plain->size += size;
    return true;
}

static bool take_text(const char *text, char taken[64]) {
    const size_t size = strlen(text) + 1;
    if (size > 64)
        return false;
    memcpy(taken, text, size);
    return true;
}

static bool take_head(const Pgcdc__Archive__V1__SegmentHead *message, struct segment_head *head) {
    head->system_id = message->system_id;
    head->timeline = message->timeline;
    head->number = message->number;
    head->first_lsn = message->first_lsn;
    head->created_time_us = message->created_time_us;
    return take_text(message->pipeline, head->pipeline) && take_text(message->sink, head->sink) &&
           take_text(message->database, head->database) && take_text(message->program, head->program);
}

bool segment_head_read(struct slice plain, struct segment_head *ret_head, struct error *err) {
    Pgcdc__Archive__V1__SegmentHead *message =
        pgcdc__archive__v1__segment_head__unpack(NULL, plain.size, (const uint8_t *) plain.data);
    if (message == NULL)
        return error_set(err, ERROR_PROTOCOL, "its first frame is not the head of a segment");
    const uint32_t version = message->version;
    const bool is_taken = take_head(message, ret_head);
    pgcdc__archive__v1__segment_head__free_unpacked(message, NULL);
    if (version != SEGMENT_VERSION)
        return error_set(err, ERROR_CONFIG, "its format has version %u, and this pgcdc knows version %d",
                         version, SEGMENT_VERSION) ||
               error_remedy(err, "use a newer pgcdc");
    return is_taken || error_set(err, ERROR_PROTOCOL, "its first frame is not the head of a segment");
}

/* ---- the index ---- */

bool segment_index_write(const struct segment_place *places, size_t count, struct slice definitions,
                         struct buffer *plain, struct error *err) {
    if (!buffer_reserve(plain, count * (2 + PLACE_BYTES_MAX) + definitions.size))
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct segment_place *place = &places[i];
        const size_t size = wire_number_size(place->offset) + wire_number_size(place->first_lsn) +
                            wire_number_size((uint64_t) place->commit_time_us);
        char *at = wire_put_head(plain->data + plain->size, INDEX_PLACES, size);
        at = wire_put_number_if(at, PLACE_OFFSET, place->offset);
        at = wire_put_number_if(at, PLACE_FIRST_LSN, place->first_lsn);
        at = wire_put_number_if(at, PLACE_COMMIT_TIME_US, (uint64_t) place->commit_time_us);
        plain->size = (size_t) (at - plain->data);
    }
    buffer_append_slice(plain, definitions);
    return buffer_ok(plain) || error_no_memory(err);
}

static bool take_place(struct slice bytes, struct segment_place *place) {
    struct wire_reader fields = wire_over(bytes);
    struct wire_field field;
    *place = (struct segment_place){0};
    while (wire_next(&fields, &field))
        if (field.number == PLACE_OFFSET)
            place->offset = field.value;
        else if (field.number == PLACE_FIRST_LSN)
            place->first_lsn = field.value;
        else if (field.number == PLACE_COMMIT_TIME_US)
            place->commit_time_us = (int64_t) field.value;
    return wire_end(&fields);
}

bool segment_index_read(struct slice plain, struct arena *arena, struct segment_place **ret_places,
                        size_t *ret_count, struct error *err) {
    struct wire_reader fields = wire_over(plain);
    struct wire_field field;
    size_t count = 0;
    while (wire_next(&fields, &field))
        count += field.number == INDEX_PLACES;
    struct segment_place *places = arena_alloc(arena, (count + 1) * sizeof *places);
    if (places == NULL)
        return error_no_memory(err);
    bool is_good = wire_end(&fields);
    fields = wire_over(plain);
    count = 0;
    while (is_good && wire_next(&fields, &field))
        if (field.number == INDEX_PLACES)
            is_good = take_place(field.bytes, &places[count++]);
    *ret_places = places;
    *ret_count = count;
    return is_good || error_set(err, ERROR_PROTOCOL, "its index is damaged");
}
