/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_builder.h - changes as the decoder would hand them on, for tests of sinks.
 *
 *     const struct relation *t = change_builder_relation(&builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
 *     change_builder_begin(&builder);
 *     change_builder_insert(&builder, t, ROW("1", "one"));
 *     change_builder_update(&builder, t, NULL, ROW("1", UNCHANGED_TEXT));
 *     change_builder_commit(&builder);
 *
 * Values are texts; NULL is null. Everything lives until change_builder_release. Running out of memory
 * aborts: it is a test.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/position.h"
#include "decoder/change.h"

struct change_builder {
    struct arena arena;
    struct change *changes;
    size_t count;
    size_t capacity;
    oid_t next_oid;
    lsn_t lsn;     /* rises with each transaction */
    lsn_t end_lsn; /* of the last one */
    uint64_t index;
    struct transaction *transaction;
    bool binary; /* int4, int8 and text values are handed on in their binary form */
};

/* A value that an UPDATE did not touch; recognised by its address. */
extern const char UNCHANGED_TEXT[];

/* One text a column. */
#define ROW(...) ((const char *const[]){__VA_ARGS__})

void change_builder_init(struct change_builder *builder);
void change_builder_release(struct change_builder *builder);

/* Forgets the changes, keeps relations and positions. */
void change_builder_clear(struct change_builder *builder);

/* columns: "name type [key], ..." with type int2, int4, int8, text, numeric, ... or an OID. Schema public. */
const struct relation *change_builder_relation(struct change_builder *builder, const char *name,
                                               enum replica_identity identity, const char *columns);

void change_builder_begin(struct change_builder *builder);
void change_builder_commit(struct change_builder *builder);

void change_builder_insert(struct change_builder *builder, const struct relation *relation,
                           const char *const *row);
/*
 * old: the old row (identity full), or the old key's values with NULL elsewhere, or NULL: the key did not
 * change.
 */
void change_builder_update(struct change_builder *builder, const struct relation *relation,
                           const char *const *old, const char *const *row);
void change_builder_delete(struct change_builder *builder, const struct relation *relation,
                           const char *const *old);
void change_builder_truncate(struct change_builder *builder, uint32_t flags, uint32_t count,
                             const struct relation *const *relations);

/* The position behind the last commit. */
struct position change_builder_position(const struct change_builder *builder);
