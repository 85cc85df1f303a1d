/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_change.h - a random change, and the object tree of protobuf-c that says the same; neither is made
 * from the other.
 */
#pragma once

#include "cdc/base/arena.h"
#include "decoder/change.h"
#include "proto/change.pb-c.h"
#include "tests/support/random.h"

struct random_change {
    struct change change;
    const struct relation *relation;
    Pgcdc__V1__Change *record;
    Pgcdc__V1__Key *key;      /* NULL: the table has none */
    Pgcdc__V1__Change *moved; /* what the old key is told, or NULL: the key did not change */
    Pgcdc__V1__Key *old_key;  /* with moved */
};

/* Everything lives in arena. Aborts without memory: it is a test. */
struct random_change random_change_make(struct random *random, struct arena *arena);
