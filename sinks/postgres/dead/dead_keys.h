/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_keys.h - the keys that have a dead letter: a later change of one of them waits. Pure.
 *
 * A key is the texts of the replica identity's columns, so values must be text. Where a change has no key
 * that is known (a table without one, replica identity full), all changes of its table wait. They also wait
 * when the key has other columns than the dead letters': then the texts cannot be compared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/map.h"
#include "decoder/change.h"

/* Which rows a change is about. The slices are in the scratch buffer of the call, or in the relation. */
struct dead_place {
    struct slice schema, name;
    struct slice columns; /* the names of the key's columns */
    unsigned key_count;   /* 0: no key is known; 2: an update that changes the key */
    struct slice keys[2];
};

struct dead_keys {
    struct map tables; /* of struct dead_table */
    struct arena arena;
    size_t count; /* keys, and tables of which everything waits */
};

void dead_keys_init(struct dead_keys *keys);
void dead_keys_release(struct dead_keys *keys);

/* Nothing waits. */
void dead_keys_reset(struct dead_keys *keys);

/* Of a row. ERROR_NEEDS_TEXT when a value of the change is binary. */
MUST_CHECK bool dead_place_of(const struct change *change, struct buffer *scratch,
                              struct dead_place *ret_place, struct error *err);

/* Does a change of these rows wait? */
bool dead_keys_have(const struct dead_keys *keys, const struct dead_place *place);

/* Would the keys be more with it? */
bool dead_keys_lack(const struct dead_keys *keys, const struct dead_place *place);

/* From now on it does. Copies what it keeps. */
MUST_CHECK bool dead_keys_add(struct dead_keys *keys, const struct dead_place *place, struct error *err);
