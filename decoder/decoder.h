/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder.h - pgoutput messages in, changes out.
 *
 * Pure: no I/O, no threads, no clock, no log. One decoder a replication session: it holds the relation cache
 * and where in which transaction the stream is. Used by one thread at a time. Every byte of a message is
 * checked; a malformed message is ERROR_PROTOCOL, a message of a feature nobody asked for (streamed or
 * two-phase transactions) too, naming it. After an error the decoder must not be used again.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"
#include "decoder/change.h"
#include "decoder/relation.h"

struct decoder;

/* NULL when memory is exhausted. */
MUST_CHECK struct decoder *decoder_new(void);
/* Frees the relations of every change it decoded, too. Accepts NULL. */
void decoder_free(struct decoder *decoder);

/* A table whose key has a column that is not sent: what a Relation message shows of the key tells no row. */
struct unsent_key {
    oid_t oid;
    /* that determine the key: those of it that are sent, and what the others are made of */
    const struct slice *columns;
    uint32_t column_count;
    uint32_t sent_count; /* the first so many are columns of the key that are sent */
};

struct unsent_keys {
    const struct unsent_key *keys;
    size_t count;
};

/*
 * Lives as long as the decoder. An update that left the key alone is found by the columns that determine it:
 * no other row can have the same. An old tuple never tells the row.
 */
void decoder_set_unsent_keys(struct decoder *decoder, struct unsent_keys keys);

/*
 * Decodes one message that came with the WAL position lsn. Its bytes are not copied: values point into
 * message, which must live as long as arena. True with *ret_change NULL: nothing to hand on (Relation, Type,
 * Origin). *ret_change is in arena, and so is its transaction: a transaction may go on in another arena, or
 * in one that was reset, but an arena must not be initialised anew meanwhile.
 *
 * A new value sent as unchanged is filled in from the old tuple, when that has it. What the server did not
 * send is never taken for null: a change that does not tell its row, or a row that is not whole, is
 * ERROR_DATA.
 */
MUST_CHECK bool decoder_decode(struct decoder *decoder, lsn_t lsn, struct slice message, struct arena *arena,
                               struct change **ret_change, struct error *err);

/*
 * Of a change that is_partial: ERROR_DATA that names table, column and remedy; returns false. Whoever takes
 * changes completes such a one or refuses it, so that a value that was not sent never becomes a null.
 */
bool change_refuse_partial(const struct change *change, struct error *err);

/* True between Begin and Commit. */
bool decoder_in_transaction(const struct decoder *decoder);

/*
 * The table of which a change comes next: its definition did, and no change since. NULL when that is not
 * known.
 */
const struct relation *decoder_announced(const struct decoder *decoder);

/* The name of a user-defined type; NULL for built-in ones and for those no Type message announced. */
const struct type_name *decoder_find_type(const struct decoder *decoder, oid_t oid);
