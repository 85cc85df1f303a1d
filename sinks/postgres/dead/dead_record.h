/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_record.h - a change as one record: the frame of archive.proto's entries that has its transaction, the
 * definition of its table and the change. Pure.
 */
#pragma once

#include "proto/entry.h"

struct dead_record_writer {
    struct entry_writer entries;
    struct buffer record;
};

void dead_record_writer_init(struct dead_record_writer *writer);
void dead_record_writer_release(struct dead_record_writer *writer);

/* The record of a row's change, valid until the next call. A row of a copy becomes an insert. */
MUST_CHECK bool dead_record_write(struct dead_record_writer *writer, const struct change *change,
                                  struct slice *ret_record, struct error *err);

/*
 * Reads records, whose relations live as long as it does: equal definitions are one relation.
 */
struct dead_record_reader {
    struct entry_reader entries;
    struct map relations; /* by the bytes of the definition */
};

void dead_record_reader_init(struct dead_record_reader *reader);
void dead_record_reader_release(struct dead_record_reader *reader);

/* The change, in arena. */
MUST_CHECK bool dead_record_read(struct dead_record_reader *reader, struct slice record, struct arena *arena,
                                 struct change *ret_change, struct error *err);
