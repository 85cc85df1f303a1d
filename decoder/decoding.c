/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoding.c - shared by the decode_… functions of all messages.
 */
#include "decoder/decoding.h"

static const char *message_name(char letter) {
    switch (letter) {
    case 'B':
        return "Begin";
    case 'C':
        return "Commit";
    case 'D':
        return "Delete";
    case 'I':
        return "Insert";
    case 'M':
        return "Message";
    case 'O':
        return "Origin";
    case 'R':
        return "Relation";
    case 'T':
        return "Truncate";
    case 'U':
        return "Update";
    case 'Y':
        return "Type";
    default:
        return "unknown";
    }
}

bool decoding_malformed(struct decoding *d) {
    return error_set(d->err, ERROR_PROTOCOL, "a malformed %s message at %s", message_name(d->letter),
                     lsn_format(d->lsn).text);
}

bool decoding_outside_transaction(struct decoding *d) {
    return error_set(d->err, ERROR_PROTOCOL, "%s message outside a transaction at %s",
                     message_name(d->letter), lsn_format(d->lsn).text);
}

/* Is the copy of the open transaction in d->arena? It lasts until that arena is reset. */
static bool is_shared(const struct decoding *d) {
    return d->decoder->shared_in == d->arena && d->decoder->shared_generation == d->arena->generation;
}

NOT_INLINE static bool share_transaction(struct decoding *d) {
    struct decoder *decoder = d->decoder;
    struct transaction *copy = arena_alloc(d->arena, sizeof *copy);
    if (copy == NULL)
        return false;
    *copy = decoder->transaction;
    decoder->shared = copy;
    decoder->shared_in = d->arena;
    decoder->shared_generation = d->arena->generation;
    return true;
}

struct change *decoding_add_change(struct decoding *d, enum change_kind kind) {
    struct change *change = arena_alloc(d->arena, sizeof *change);
    if (change == NULL || (d->decoder->in_transaction && !is_shared(d) && !share_transaction(d))) {
        error_no_memory(d->err);
        return NULL;
    }
    *change = (struct change){.kind = kind, .lsn = d->lsn, .transaction = d->decoder->shared};
    d->change = change;
    return change;
}

struct slice decoding_take_schema(struct decoding *d) {
    struct slice schema = cursor_string(&d->cursor);
    return schema.size > 0 ? schema : slice_of("pg_catalog");
}
