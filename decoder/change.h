/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.h - one decoded message: what a transaction did to one row, or where a transaction begins and ends.
 *
 * Values and transaction are in the arena into which the change was decoded; the relation lives as long as
 * the relation cache. A change in a sealed batch is read-only, and any thread may read it.
 *
 * Every consumer identifies a change by (transaction->commit_lsn, index).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"
#include "decoder/relation.h"

/* The letter is the protocol's. 'r' is ours: a row of the initial copy. */
enum change_kind {
    CHANGE_BEGIN = 'B',
    CHANGE_COMMIT = 'C',
    CHANGE_INSERT = 'I',
    CHANGE_UPDATE = 'U',
    CHANGE_DELETE = 'D',
    CHANGE_TRUNCATE = 'T',
    CHANGE_MESSAGE = 'M',
    CHANGE_READ = 'r',
};

enum value_kind {
    VALUE_NULL = 'n',
    VALUE_UNCHANGED = 'u', /* a TOASTed value that the UPDATE left alone: neither null nor known */
    VALUE_TEXT = 't',
    VALUE_BINARY = 'b', /* the type's binary format */
};

struct value {
    const char *data; /* not NUL-terminated */
    uint32_t size;
    enum value_kind kind;
};

static inline struct slice value_slice(const struct value *value) {
    return (struct slice){.data = value->data, .size = value->size};
}

/* What the old values of an UPDATE or DELETE are. */
enum old_kind {
    OLD_NONE = 0,   /* none were sent: the key did not change */
    OLD_KEY = 'K',  /* the replica identity's columns; all others are VALUE_NULL */
    OLD_FULL = 'O', /* every column */
};

struct transaction {
    lsn_t commit_lsn;       /* where its commit record starts; the same in Begin and in Commit */
    int64_t commit_time_us; /* microseconds since 2000-01-01 UTC */
    xid_t xid;
    lsn_t end_lsn; /* end of the commit record, once it was decoded into the same arena; 0 before that */
    /* the rows of a chunk, out of an archive, placed at commit_lsn + 1, perhaps after those of others */
    bool is_chunk;
};

/*
 * The LSN that people see and may pass to `run --until`: the transaction's end, or the start of its commit
 * record while the end is not known.
 */
static inline lsn_t transaction_named_lsn(const struct transaction *transaction) {
    if (transaction == NULL)
        return 0;
    return transaction->end_lsn != 0 ? transaction->end_lsn : transaction->commit_lsn;
}

enum { TRUNCATE_CASCADE = 1, TRUNCATE_RESTART_IDENTITY = 2 };

struct change {
    enum change_kind kind;
    enum old_kind old_kind;
    lsn_t lsn;      /* of the WAL record; rows of one COPY share it, so it identifies nothing */
    uint64_t index; /* number among the I, U, D, T and transactional M of its transaction, from 0 */
    const struct transaction *transaction; /* NULL only for a message outside a transaction */
    union {
        struct { /* I, U, D, r */
            const struct relation *relation;
            const struct value *old_values; /* relation->column_count of them, or NULL (old_kind) */
            const struct value *new_values; /* relation->column_count of them, or NULL (delete) */
            bool is_partial; /* an INSERT without a large value: some values are VALUE_UNCHANGED */
        };
        struct { /* T */
            const struct relation *const *relations;
            uint32_t relation_count;
            uint32_t truncate_flags;
        };
        struct { /* M */
            struct slice prefix;
            struct slice content;
            bool transactional;
        };
        lsn_t end_lsn; /* C: the end of the commit record, which is the next position */
    };
};

static inline bool change_is_row(const struct change *change) {
    return change->kind == CHANGE_INSERT || change->kind == CHANGE_UPDATE || change->kind == CHANGE_DELETE ||
           change->kind == CHANGE_READ;
}

/*
 * For a row whose relation is KEY_DOUBTFUL, when the caller cannot make sure that its key finds one row:
 * ERROR_DATA with the remedy; returns false.
 */
bool change_refuse_doubtful(const struct change *change, struct error *err);
/* The remedy alone: what to do about a change of the relation that does not identify its row. */
bool change_remedy_unknown(const struct relation *relation, struct error *err);
