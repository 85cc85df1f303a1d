/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records.c - a recorded stream as records, for a reader in another language.
 *
 *     records NAME.bin
 *
 * Writes the messages of the format protobuf: (size:u32 key size:u32 value)* in network order. A key or value
 * that is missing has the size 2^32 - 1.
 */
#include <stdio.h>
#include <stdlib.h>

#include "decoder/decoder.h"
#include "sinks/formats/format.h"
#include "tests/support/recording.h"

#define BYTES_MAX ((size_t) 64 << 20)

struct run {
    struct decoder *decoder;
    struct format *format;
    struct arena arena;
    struct message_list list;
    struct error err;
};

static void put(const struct message_list *list, const struct message_span *span) {
    const uint32_t size = htobe32(span->is_null ? UINT32_MAX : (uint32_t) span->size);
    fwrite(&size, sizeof size, 1, stdout);
    if (!span->is_null)
        fwrite(list->bytes.data + span->offset, 1, span->size, stdout);
}

static bool put_messages(struct run *run, const struct change *change, uint32_t relation_index) {
    if (!format_protobuf.encode(run->format, change, relation_index, 0, &run->list, &run->err))
        return false;
    for (size_t i = 0; i < run->list.count; i++) {
        put(&run->list, &run->list.messages[i].key);
        put(&run->list, &run->list.messages[i].value);
    }
    return true;
}

static bool put_change(struct run *run, const struct change *change) {
    if (change_is_row(change))
        return put_messages(run, change, 0);
    for (uint32_t i = 0; change->kind == CHANGE_TRUNCATE && i < change->relation_count; i++)
        if (!put_messages(run, change, i))
            return false;
    return true;
}

static bool put_stream(struct run *run, struct cursor *cursor) {
    struct slice message;
    lsn_t lsn;
    while (recording_next(cursor, &lsn, &message)) {
        struct change *change = NULL;
        if (!decoder_decode(run->decoder, lsn, message, &run->arena, &change, &run->err))
            return false;
        if (change != NULL && !put_change(run, change))
            return false;
    }
    return true;
}

int main(int argc, char **argv) {
    static const struct sink_config CONFIG = {.name = "records"};
    const struct format_options options = {.config = &CONFIG};
    AUTO(recording_close) struct recording recording = {0};
    struct run run = {.decoder = decoder_new()};
    arena_init(&run.arena, 64 * 1024, BYTES_MAX);
    buffer_init(&run.list.bytes, BYTES_MAX);
    if (argc != 2 || !recording_open(&recording, argv[1]))
        return EXIT_FAILURE;
    bool done =
        format_protobuf.create(&options, &run.format, &run.err) && put_stream(&run, &recording.cursor);
    if (!done)
        fprintf(stderr, "records: %s\n", run.err.text);
    format_protobuf.free(run.format);
    buffer_release(&run.list.bytes);
    arena_release(&run.arena);
    decoder_free(run.decoder);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
