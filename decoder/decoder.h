/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder.h - pgoutput messages in, changes out.
 *
 * Pure: no I/O, no threads, no clock, no log. There is one decoder per replication session. It holds the
 * relation cache and the state of the open transaction, and one thread at a time uses it. Every byte of a
 * message is checked. A malformed message is ERROR_PROTOCOL. So is a message of a feature that was not
 * requested (streamed or two-phase transactions), which the error names. After an error the decoder must not
 * be used again.
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
/* Frees also the relations of every change that it decoded. Accepts NULL. */
void decoder_free(struct decoder *decoder);

/* Is it certain that something of the catalog was the same when the changes were made that come next? */
enum key_age {
    KEY_ALTERED,  /* it may have been altered since */
    KEY_ORIGINAL, /* it is as old as the table, so it is certain in other transactions than the table's own */
    KEY_OLD,
};

/* An index that can be a table's replica identity, as the catalog describes it now. */
struct key_index {
    uint32_t column_count; /* its key columns; 0: there is no such index */
    uint32_t sent_count;   /* of them, those that are not generated */
    enum key_age age;
};

/* What the catalog says of the columns by which a table's rows are found. */
struct table_key {
    oid_t oid;
    xid_t created_by;     /* the transaction that created the table */
    uint32_t columns_max; /* the table never had more columns than these */
    bool may_hide;        /* it has, or may have had, a column that is not sent */
    /* the next change's transaction may have altered it, which the catalog shows only after its end */
    bool is_locked;
    struct key_index primary;       /* the primary key */
    struct key_index index;         /* the index of replica identity USING INDEX */
    enum replica_identity identity; /* the one in force now, to which the rest belongs */
    /*
     * When the identity has a column that is not sent: the columns that determine the key, which are the key
     * columns that are sent, and the base columns of the others
     */
    const struct slice *columns;
    uint32_t column_count;
    uint32_t sent_count;      /* this many of them, at the start, are key columns that are sent */
    enum key_age columns_age; /* of these columns and of the expressions */
};

struct table_keys {
    const struct table_key *keys; /* of every table of the database, by oid */
    size_t count;
    bool is_needed; /* false: the server sends every column of a key */
};

/*
 * keys: as of a moment after the definitions that are decoded next; they live until the next call, or as long
 * as the decoder. A definition that they do not prove to show the whole key has another certainty than
 * KEY_CERTAIN. When a column of the key is not sent for certain, an update that left the key alone is applied
 * by the columns that determine it, since no other row can have the same ones, and an old tuple is refused.
 */
void decoder_set_table_keys(struct decoder *decoder, struct table_keys keys);

/*
 * tables: what the catalog says about the columns of the tables whose definitions are decoded next, read
 * after their transaction's commit; they live as long as keys do.
 */
void decoder_set_catalog(struct decoder *decoder, struct catalog_tables tables);

/*
 * Decodes one message, which arrived with the WAL position lsn. Its bytes are not copied: values point into
 * message, which must live as long as arena. True with *ret_change NULL: the message is no change (Relation,
 * Type, Origin). *ret_change and its transaction are in arena. The next message of the transaction may use
 * another arena, or one that was reset; an arena must not be initialised again while the transaction is open.
 *
 * A new value that was sent as unchanged is copied from the old tuple when that contains it. A value that the
 * server did not send is never treated as null: a change that does not identify its row, or an incomplete
 * row, is ERROR_DATA.
 */
MUST_CHECK bool decoder_decode(struct decoder *decoder, lsn_t lsn, struct slice message, struct arena *arena,
                               struct change **ret_change, struct error *err);

/*
 * For a change that is_partial: ERROR_DATA that names table, column and remedy; returns false. The caller
 * completes such a change or refuses it, so that a value that was not sent never becomes a null.
 */
bool change_refuse_partial(const struct change *change, struct error *err);

/* True between Begin and Commit. */
bool decoder_in_transaction(const struct decoder *decoder);

/* Of the transaction that is open; 0 between two. */
xid_t decoder_xid(const struct decoder *decoder);

/*
 * The table of the next change, when its definition arrived and no change since. NULL when it is not known.
 */
const struct relation *decoder_announced(const struct decoder *decoder);

/* The name of a user-defined type; NULL for a built-in type, and for one that no Type message announced. */
const struct type_name *decoder_find_type(const struct decoder *decoder, oid_t oid);
