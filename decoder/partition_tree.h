/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_tree.h - what the leaves of partitioned tables log of an old row.
 *
 * Published by its root, a row comes with the root's Relation and the root's replica identity, but its old tuple holds
 * only what the leaf's own identity wrote to the WAL; the rest is sent as if it was null. The wire does not tell, so
 * whoever makes the decoder tells it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"
#include "decoder/relation.h"

struct partition_tree {
    oid_t root_oid;
    bool is_full;             /* every leaf logs the whole old row */
    bool differs;             /* two leaves log different keys */
    const struct slice *keys; /* the columns that every leaf logs at least, when neither is so */
    uint32_t key_count;       /* 0: no leaf sends updates or deletes */
};

struct partition_trees {
    const struct partition_tree *trees;
    size_t count;
};

/* Makes identity and key of a definition what the leaves log, when it is a root that trees names. trees may be NULL. */
void partition_trees_settle(const struct partition_trees *trees, struct relation *relation);
