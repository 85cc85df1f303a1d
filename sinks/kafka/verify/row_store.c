/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_store.c - the part is chosen by the first bits of the key's first hash.
 */
#include "sinks/kafka/verify/row_store.h"

#include "cdc/base/hash.h"

enum { PART_SHIFT = 58, SPILL_BYTES = 128 * 1024 };

_Static_assert(1 << (64 - PART_SHIFT) == ROW_STORE_PARTS, "a part for each value of the first bits");

void row_store_init(struct row_store *store, size_t entry_bytes) {
    store->entry_bytes = entry_bytes;
    for (int i = 0; i < ROW_STORE_PARTS; i++)
        spill_init(&store->parts[i], SPILL_BYTES);
}

void row_store_release(struct row_store *store) {
    for (int i = 0; i < ROW_STORE_PARTS; i++)
        spill_release(&store->parts[i]);
}

bool row_store_add(struct row_store *store, const struct row_key *entry, struct error *err) {
    const struct slice bytes = {.data = (const char *) entry, .size = store->entry_bytes};
    return spill_append(&store->parts[entry->words[0] >> PART_SHIFT], bytes, err);
}

static bool append_piece(void *context, struct slice bytes, struct error *err) {
    struct buffer *entries = context;
    buffer_append_slice(entries, bytes);
    return buffer_ok(entries) ? true
                              : error_set(err, ERROR_SYSTEM,
                                          "too many records and rows to compare: "
                                          "a sixty-fourth of them is more than fits in memory");
}

bool row_store_take(struct row_store *store, int part, struct buffer *entries, struct error *err) {
    return spill_empty(&store->parts[part], append_piece, entries, err);
}

struct row_key row_key_of(struct slice bytes) {
    return (struct row_key){{hash_bytes(UINT64_C(0x243f6a8885a308d3), bytes.data, bytes.size),
                             hash_bytes(UINT64_C(0x13198a2e03707344), bytes.data, bytes.size)}};
}
