/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoding.h - the state of decoding one message. For the files of decoder/ only.
 *
 * Every decode_… reads a message's fields from d->cursor in the order of the protocol. It asks
 * decoding_finish whether they were all present and nothing followed, and only then publishes: d->change, a
 * relation, the transaction.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/cursor.h"
#include "cdc/base/error.h"
#include "decoder/change.h"
#include "decoder/decoder.h"
#include "decoder/partition_tree.h"
#include "decoder/relation.h"

struct decoder {
    struct relation_cache *relations;
    struct partition_trees trees;
    struct table_keys table_keys;
    struct catalog_tables catalog;
    oid_t announced[2]; /* the last two Relation messages since the last row, the newer one last; 0: none */
    /* of the last row, in force, or NULL; most rows have the same one as the row before */
    const struct relation *last_relation;
    bool in_transaction;            /* between Begin and Commit */
    struct transaction transaction; /* the open transaction */
    /* its copy, to which the changes in one arena point; NULL when there is none … */
    struct transaction *shared;
    const struct arena *shared_in; /* … in this arena, until it is reset */
    uint64_t shared_generation;
    uint64_t next_index;                         /* of the next change of the transaction */
    struct column columns[RELATION_COLUMNS_MAX]; /* of the Relation message being decoded */
};

struct decoding {
    struct decoder *decoder;
    struct cursor cursor; /* the message after its letter */
    struct arena *arena;
    lsn_t lsn;
    char letter;
    struct change *change; /* the result; NULL when the message is no change */
    struct error *err;
};

/* ERROR_PROTOCOL that names the message; returns false. */
bool decoding_malformed(struct decoding *d);

/* True when every byte of the message was read and none was missing. */
MUST_CHECK static inline bool decoding_finish(struct decoding *d) {
    return cursor_finish(&d->cursor) || decoding_malformed(d);
}

/* ERROR_PROTOCOL: the message must be between Begin and Commit; returns false. */
bool decoding_outside_transaction(struct decoding *d);

/* An error unless the message is between Begin and Commit. */
MUST_CHECK static inline bool decoding_expect_transaction(struct decoding *d) {
    return d->decoder->in_transaction || decoding_outside_transaction(d);
}

/*
 * Allocates d->change, with the open transaction if there is one, and returns it. NULL, and *err, when memory
 * is exhausted.
 */
MUST_CHECK struct change *decoding_add_change(struct decoding *d, enum change_kind kind);

/* An empty schema means pg_catalog. */
struct slice decoding_take_schema(struct decoding *d);

/* transaction.c */
MUST_CHECK bool decode_begin(struct decoding *d);
MUST_CHECK bool decode_commit(struct decoding *d);
MUST_CHECK bool decode_origin(struct decoding *d);
MUST_CHECK bool decode_logical_message(struct decoding *d);

/* definition.c */
MUST_CHECK bool decode_relation(struct decoding *d);
MUST_CHECK bool decode_type(struct decoding *d);

/* row.c */
MUST_CHECK bool decode_insert(struct decoding *d);
MUST_CHECK bool decode_update(struct decoding *d);
MUST_CHECK bool decode_delete(struct decoding *d);
MUST_CHECK bool decode_truncate(struct decoding *d);

/* refusal.c: always false. */
bool decode_refused(struct decoding *d);
