/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder_fuzz.c - any bytes at all, taken for a recorded stream: the decoder refuses or decodes, and what it
 * decodes holds together.
 *
 * With -Dfuzz=true and clang this is a libFuzzer target (corpus: tests/golden); otherwise mutate.c drives it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "decoder/decoder.h"
#include "tests/fuzz/target.h"
#include "tests/support/recording.h"

#define ARENA_BYTES_MAX ((size_t) 16 * 1024 * 1024)

static struct slice message_now; /* what is being decoded: values may point nowhere else */

static void check_inside(struct slice bytes) {
    if (bytes.size == 0)
        return;
    assert(bytes.data >= message_now.data);
    assert(bytes.data + bytes.size <= message_now.data + message_now.size);
}

static void check_values(const struct relation *relation, const struct value *values, bool may_be_unchanged) {
    for (uint32_t i = 0; i < relation->column_count; i++) {
        bool has_bytes = values[i].kind == VALUE_TEXT || values[i].kind == VALUE_BINARY;
        assert(has_bytes || values[i].kind == VALUE_NULL || values[i].kind == VALUE_UNCHANGED);
        assert(has_bytes || values[i].size == 0);
        assert(may_be_unchanged || values[i].kind != VALUE_UNCHANGED);
        check_inside(value_slice(&values[i]));
    }
}

static void check_relation(const struct relation *relation) {
    uint32_t key_count = 0;
    assert(relation->schema.size > 0);
    assert(relation->schema.data[relation->schema.size] == '\0');
    assert(relation->name.data[relation->name.size] == '\0');
    assert(relation->column_count <= RELATION_COLUMNS_MAX);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        assert(strlen(relation->columns[i].name.data) == relation->columns[i].name.size);
        key_count += relation->columns[i].is_key;
    }
    assert(key_count == relation->key_count);
}

/* A whole old row fills what the new one leaves out; a null in it beside such a value was not sent either. */
static void check_filled(const struct change *change) {
    for (uint32_t i = 0; i < change->relation->column_count; i++)
        if (change->new_values[i].kind == VALUE_UNCHANGED)
            assert(change->old_values[i].kind == VALUE_NULL);
}

static void check_row(const struct change *change) {
    check_relation(change->relation);
    assert((change->old_values != NULL) == (change->old_kind != OLD_NONE));
    assert((change->new_values != NULL) == (change->kind != CHANGE_DELETE));
    assert(change->kind != CHANGE_DELETE || change->old_kind != OLD_NONE);
    assert(change->kind != CHANGE_INSERT || change->old_kind == OLD_NONE);
    if (change->old_values != NULL)
        check_values(change->relation, change->old_values, false);
    if (change->new_values != NULL)
        check_values(change->relation, change->new_values,
                     change->kind == CHANGE_UPDATE || change->is_partial);
    if (change->kind == CHANGE_UPDATE && change->old_kind == OLD_FULL)
        check_filled(change);
}

static void check_truncate(const struct change *change) {
    assert(change->relation_count > 0);
    for (uint32_t i = 0; i < change->relation_count; i++)
        check_relation(change->relations[i]);
}

static void check_message(const struct change *change) {
    check_inside(change->prefix);
    check_inside(change->content);
    assert(change->transactional == (change->transaction != NULL));
}

/* Returns the index that the next counted change must have. */
static uint64_t check_change(const struct change *change, uint64_t next_index) {
    assert(change->transaction != NULL || change->kind == CHANGE_MESSAGE);
    switch (change->kind) {
    case CHANGE_BEGIN:
        return 0;
    case CHANGE_COMMIT:
        assert(change->end_lsn > change->transaction->commit_lsn);
        return 0;
    case CHANGE_INSERT:
    case CHANGE_UPDATE:
    case CHANGE_DELETE:
        check_row(change);
        break;
    case CHANGE_TRUNCATE:
        check_truncate(change);
        break;
    case CHANGE_MESSAGE:
        check_message(change);
        if (!change->transactional)
            return next_index;
        break;
    case CHANGE_READ:
        assert(!"the wire has no such change");
    }
    assert(change->index == next_index);
    return next_index + 1;
}

static void check_error(const struct error *err) {
    assert(err->kind == ERROR_PROTOCOL || err->kind == ERROR_RETRY || err->kind == ERROR_SYSTEM ||
           err->kind == ERROR_DATA);
    assert(err->text[0] != '\0');
    assert(strchr(err->text, '\n') == NULL);
}

/*
 * Memory of exactly the message's size, given back at once: a read past its end shows, and a pointer kept
 * into it.
 */
static struct slice copy_message(struct slice message) {
    char *copy = malloc(message.size + (message.size == 0));
    assert(copy != NULL);
    if (message.size > 0)
        memcpy(copy, message.data, message.size);
    return (struct slice){.data = copy, .size = message.size};
}

/* False when the message was refused: the stream ends there. */
static bool decode_one(struct decoder *decoder, lsn_t lsn, struct arena *arena, uint64_t *next_index) {
    struct change *change = NULL;
    struct error err = {0};
    if (!decoder_decode(decoder, lsn, message_now, arena, &change, &err)) {
        check_error(&err);
        assert(change == NULL);
        return false;
    }
    if (change != NULL) {
        *next_index = check_change(change, *next_index);
        assert(change->kind != CHANGE_BEGIN || decoder_in_transaction(decoder));
        assert(change->kind != CHANGE_COMMIT || !decoder_in_transaction(decoder));
    }
    return true;
}

static void decode_all(struct decoder *decoder, struct arena *arena, struct cursor *cursor) {
    uint64_t next_index = 0;
    struct slice message;
    lsn_t lsn;
    bool is_sound = true;
    while (is_sound && recording_next(cursor, &lsn, &message)) {
        message_now = copy_message(message);
        is_sound = decode_one(decoder, lsn, arena, &next_index);
        free((void *) (uintptr_t) message_now.data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct decoder *decoder = decoder_new();
    struct arena arena;
    assert(decoder != NULL);
    arena_init(&arena, 64 * 1024, ARENA_BYTES_MAX);
    struct cursor cursor = cursor_over((struct slice){.data = (const char *) data, .size = size});
    decode_all(decoder, &arena, &cursor);
    arena_release(&arena);
    decoder_free(decoder);
    return 0;
}
