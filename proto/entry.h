/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h - a change as an archive has it: the bytes of archive.proto's Entry.
 *
 * The writer keeps what later entries refer to: the segment's definitions of relations, and the transaction.
 * A frame's entries can be read without those of the frames before it, but for the definitions. Pure; one
 * thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/map.h"
#include "decoder/change.h"

struct entry_writer {
    /* Of the segment. */
    struct buffer definitions; /* every KIND_RELATION, as fields of an Index */
    uint32_t relation_count;
    struct arena arena;
    struct map by_content; /* of struct entry_relation */
    /* Likewise by the relation's address, while that is known to live. */
    struct map by_address;
    const struct relation *relation; /* the last one, ... */
    oid_t relation_oid;       /* ... its OID: a copy has its tables at one address, one after the other */
    uint32_t relation_number; /* ... and its number */
    bool is_reading;          /* it belongs to a copy */
    bool is_chunk;            /* rows of copies that follow are those of a chunk; set by the caller */
    struct buffer scratch;
    /* Of the frame. */
    lsn_t lsn;
    bool is_told; /* it has the transaction that is open */
    /* Of the stream. */
    struct transaction transaction; /* commit_lsn 0: none is open */
    uint64_t next_index;
    int64_t commit_time_us; /* of the last commit; 0: none */
};

void entry_writer_init(struct entry_writer *writer);
void entry_writer_release(struct entry_writer *writer);

/* A new segment begins: nothing is defined. */
void entry_writer_begin_segment(struct entry_writer *writer);

/* A new frame begins. */
void entry_writer_begin_frame(struct entry_writer *writer);

/* A definition that the segment has already, as a reader found it: bytes of a Relation. */
MUST_CHECK bool entry_writer_know(struct entry_writer *writer, uint32_t number, struct slice definition,
                                  struct error *err);

/*
 * Relations of the changes so far may be gone: forgets their addresses. Changes whose relations live longer
 * than those before call this first.
 */
void entry_writer_forget(struct entry_writer *writer);

/*
 * Appends the change to plain, with the entries that must precede it. ERROR_SYSTEM without memory, or when
 * plain is full.
 */
MUST_CHECK bool entry_write(struct entry_writer *writer, const struct change *change, struct buffer *plain,
                            struct error *err);

/*
 * Of the plan of a copy in chunks: KIND_PLAN (chunk 0), KIND_CHUNK (an empty record removes it) or
 * KIND_COPIED (neither). Errors as those of entry_write.
 */
enum entry_plan_kind { ENTRY_PLAN_HEAD = 11, ENTRY_PLAN_CHUNK = 12, ENTRY_PLAN_COPIED = 13 };
MUST_CHECK bool entry_write_plan(enum entry_plan_kind kind, uint32_t chunk, struct slice record,
                                 struct buffer *plain, struct error *err);

/* ---- reading ---- */

struct entry_reader {
    /* Of the segment. */
    struct arena arena; /* relations live until entry_reader_release */
    const struct relation **relations;
    uint32_t relation_count;
    uint32_t relation_capacity;
    /* Of the frame. */
    struct slice left; /* entries that were not read yet */
    lsn_t lsn;
    /* Of the stream. */
    struct transaction transaction; /* commit_lsn 0: none is open */
    /* the same in an arena, for the changes in it */
    struct transaction *shared;
    uint64_t shared_generation;
    const struct arena *shared_arena;
    uint64_t next_index;
    bool is_copy; /* the transaction is that of a copy's rows */
};

void entry_reader_init(struct entry_reader *reader);
void entry_reader_release(struct entry_reader *reader);

/* A new segment begins: nothing is defined. Relations that were read stay valid. */
void entry_reader_begin_segment(struct entry_reader *reader);

/* plain: the frame's bytes. They stay valid until its last entry is read. */
void entry_reader_begin_frame(struct entry_reader *reader, struct slice plain);

/*
 * Takes over the definitions of an index, so that reading can begin at any place of the segment.
 */
MUST_CHECK bool entry_reader_take_index(struct entry_reader *reader, struct slice plain, struct error *err);

/*
 * The next change, copied into arena; *ret_got is false at the end of the frame. At the beginning of a copy's
 * rows there is no change. ERROR_PROTOCOL for bytes that are not entries, for an unknown kind, and for a
 * relation that was not defined.
 */
MUST_CHECK bool entry_read(struct entry_reader *reader, struct arena *arena, struct change *ret_change,
                           bool *ret_got, struct error *err);

/* The definitions in a frame, for entry_writer_know: calls take for each. */
MUST_CHECK bool entry_find_definitions(struct slice plain,
                                       bool (*take)(void *context, uint32_t number, struct slice definition,
                                                    struct error *err),
                                       void *context, struct error *err);

typedef bool entry_plan_fn(void *context, enum entry_plan_kind kind, uint32_t chunk, struct slice record,
                           struct error *err);

/* Likewise the entries of a copy's plan. */
MUST_CHECK bool entry_find_plan(struct slice plain, entry_plan_fn *take, void *context, struct error *err);
