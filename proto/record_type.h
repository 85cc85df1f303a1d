/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_type.h - the kind of value that a PostgreSQL type gets in a record.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/epoch.h"
#include "decoder/relation.h"

/* The field numbers of change.proto. */
enum {
    CHANGE_OPERATION = 1,
    CHANGE_SCHEMA = 2,
    CHANGE_TABLE = 3,
    CHANGE_IDENTITY = 4,
    CHANGE_COMMIT_LSN = 5,
    CHANGE_INDEX = 6,
    CHANGE_XID = 7,
    CHANGE_COMMIT_TIME = 8,
    CHANGE_BEFORE = 9,
    CHANGE_AFTER = 10,
    CHANGE_TRUNCATED = 11,
    CHANGE_MOVED_TO = 12,
};
enum { COLUMN_NAME = 1, COLUMN_TYPE = 2, COLUMN_TYPE_SCHEMA = 3, COLUMN_TYPE_MODIFIER = 4, COLUMN_KEY = 5 };
enum record_value {
    RECORD_NULL = 6,
    RECORD_UNCHANGED = 7,
    RECORD_BOOLEAN = 8,
    RECORD_INTEGER = 9,
    RECORD_FLOAT4 = 10,
    RECORD_FLOAT8 = 11,
    RECORD_TEXT = 12,
    RECORD_BYTES = 13,
    RECORD_LITERAL = 14,
};
enum { KEY_SCHEMA = 1, KEY_TABLE = 2, KEY_COLUMNS = 3 };
enum operation { INSERT = 1, UPDATE = 2, DELETE = 3, TRUNCATE = 4, READ = 5 };
enum { TRUNCATED_CASCADE = 1, TRUNCATED_RESTART_IDENTITY = 2 };

/* Below this, OIDs and names are PostgreSQL's own and the same everywhere (FirstGenbkiObjectId). */
#define RECORD_BUILTIN_OID_MAX 9999

struct record_type {
    oid_t oid;
    const char *name;
    enum record_value value;
    int64_t min, max; /* of an integer */
};

/*
 * By OID; a domain, which has its own OID, by the name of its base type. Never NULL: a type without a typed
 * value is a literal.
 */
const struct record_type *record_type_of(const struct column *column);

/* Known by its OID alone. */
static inline bool record_type_is_builtin(const struct column *column) {
    return column->type_oid != 0 && column->type_oid <= RECORD_BUILTIN_OID_MAX;
}

/* A record's times count from 1970, PostgreSQL's from 2000; as protobuf encodes an int64. */
static inline uint64_t record_unix_us(int64_t postgres_us) {
    return (uint64_t) postgres_us + POSTGRES_EPOCH_US;
}
