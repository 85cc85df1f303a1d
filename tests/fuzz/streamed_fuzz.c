/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streamed_fuzz.c - any bytes, taken for a stream whose transactions are streamed while they are open.
 *
 * They are refused, or leave whole: what is read back decodes or is refused, and nothing of a transaction
 * that is still open does.
 */
#include <assert.h>
#include <stdlib.h>

#include "cdc/readers/slot/streamed.h"
#include "decoder/decoder.h"
#include "tests/fuzz/target.h"
#include "tests/support/recording.h"

#define ARENA_BYTES_MAX ((size_t) 64 * 1024 * 1024)

struct decoding {
    struct decoder *decoder;
    struct arena arena;
};

static bool decode_message(struct decoding *decoding, const struct replication_message *message,
                           struct error *err) {
    struct decoder *decoder = decoding->decoder;
    struct change *change = NULL;
    const bool is_good =
        decoder_decode(decoder, message->lsn, message->payload, &decoding->arena, &change, err);
    if (is_good && change != NULL && change->kind == CHANGE_COMMIT)
        assert(!decoder_in_transaction(decoder));
    return is_good;
}

static bool read_back(struct streamed *streamed, struct decoding *decoding, struct error *err) {
    bool is_good = true;
    while (is_good && streamed_is_replaying(streamed)) {
        struct replication_message message;
        is_good = streamed_next(streamed, &message, err) && decode_message(decoding, &message, err);
    }
    return is_good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cursor cursor = cursor_over((struct slice){.data = (const char *) data, .size = size});
    struct streamed streamed;
    struct decoding decoding = {.decoder = decoder_new()};
    struct error err = {0};
    lsn_t lsn;
    struct slice bytes;
    arena_init(&decoding.arena, 64 * 1024, ARENA_BYTES_MAX);
    if (decoding.decoder == NULL || !streamed_init(&streamed, "/tmp", &err))
        abort();
    bool is_good = true;
    while (is_good && recording_next(&cursor, &lsn, &bytes)) {
        const struct replication_message message = {.kind = REPLICATION_DATA, .lsn = lsn, .payload = bytes};
        bool is_taken = false;
        is_good =
            streamed_take(&streamed, &message, &is_taken, &err) &&
            (is_taken ? read_back(&streamed, &decoding, &err) : decode_message(&decoding, &message, &err));
    }
    assert(is_good || err.text[0] != '\0');
    streamed_release(&streamed);
    decoder_free(decoding.decoder);
    arena_release(&decoding.arena);
    return 0;
}
