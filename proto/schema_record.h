/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_record.h - the columns of a table as records have them: the bytes of change.proto's TableSchema, and
 * back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "decoder/relation.h"

struct schema_column {
    struct slice name;
    struct slice type_schema, type_name;
    int32_t type_modifier;
    bool is_key;
    uint32_t number;           /* at the source; 0: it is not certain */
    struct slice renamed_from; /* its name in the definition before; size 0: the same, or not certain */
};

struct schema_record {
    struct slice schema, table;
    oid_t oid;
    enum replica_identity identity;
    struct slice old_schema, old_table; /* its name in the definition before; size 0: the same */
    uint64_t commit_lsn, index;         /* of the first change that has these columns */
    int64_t commit_time_us;             /* as in struct transaction */
    uint64_t lsn;                       /* of that change; only for formats whose records have it */
    struct schema_column *columns;
    uint32_t column_count;
};

/* Appends the record's key: change.proto's Key without columns. */
MUST_CHECK bool schema_record_write_key(const struct schema_record *record, struct buffer *buffer,
                                        struct error *err);

/* ERROR_DATA when a name is not UTF-8. */
MUST_CHECK bool schema_record_write(const struct schema_record *record, struct buffer *buffer,
                                    struct error *err);

/* Everything is in arena. ERROR_PROTOCOL: it is no such record. */
MUST_CHECK bool schema_record_read(struct slice bytes, struct arena *arena, struct schema_record *ret_record,
                                   struct error *err);
