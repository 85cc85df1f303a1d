/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_tree.h - what the leaves of partitioned tables log of an old row.
 *
 * Published by its root, a row comes with the root's OID and the root's letter, but its old tuple holds only
 * what the leaf's own identity wrote to the WAL; the rest is sent as if it was null. The server announces it:
 * before a leaf's first row in a session, and again after the leaf was changed, it sends the root's Relation,
 * then the leaf's own, then the row. Both are as of that point of the WAL, so leaves that are attached,
 * altered or detached are known when it matters. Which leaf a later row is of is not sent; so a root's
 * identity is what all leaves that were announced have in common.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "decoder/oid_map.h"
#include "decoder/relation.h"

struct partition_trees {
    struct arena arena;
    struct oid_map trees;             /* by the root's OID */
    struct oid_map leaves;            /* by their own */
    struct relation_cache *relations; /* roots, with the identity that their leaves have */
};

/* False when memory is exhausted; release accepts what is zeroed or half made. */
MUST_CHECK bool partition_trees_init(struct partition_trees *trees);
void partition_trees_release(struct partition_trees *trees);

/* The root's definition as its leaves make it; NULL when it is no root of an announced leaf. */
const struct relation *partition_trees_find(const struct partition_trees *trees, oid_t oid);

/* A row of root came right after the definitions of root and leaf. */
MUST_CHECK bool partition_trees_announce(struct partition_trees *trees, const struct relation *root,
                                         const struct relation *leaf, struct error *err);

/*
 * A row of relation came after its own definition: is it a root, the definition may be new; was it a leaf, it
 * is none any more.
 */
MUST_CHECK bool partition_trees_define(struct partition_trees *trees, const struct relation *relation,
                                       struct error *err);
