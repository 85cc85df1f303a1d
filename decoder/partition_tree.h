/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_tree.h - which columns of an old row the leaves of partitioned tables log.
 *
 * A row of a table that is published by its root arrives with the root's OID and the root's letter. But its
 * old tuple contains only what the leaf's own identity wrote to the WAL; the rest is sent as if it were null.
 * The server announces the leaf: before a leaf's first row in a session, and again after a change of the
 * leaf, it sends the root's Relation, then the leaf's own, then the row. Both are as of that point of the
 * WAL, so attached, altered and detached leaves are known in time. The leaf of a later row is not sent. So
 * the identity of a root is what all leaves announced so far have in common.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/map.h"
#include "decoder/relation.h"

struct partition_trees {
    struct arena arena;
    struct map trees;                 /* by the root's OID */
    struct map leaves;                /* by the leaf's OID */
    struct relation_cache *relations; /* roots, with the identity that their leaves give them */
};

/* False when memory is exhausted; release accepts a zeroed or incomplete tree. */
MUST_CHECK bool partition_trees_init(struct partition_trees *trees);
void partition_trees_release(struct partition_trees *trees);

/* The root's definition with its leaves' identity; NULL when it is not the root of an announced leaf. */
const struct relation *partition_trees_find(const struct partition_trees *trees, oid_t oid);

/* A row of root arrived right after the definitions of root and leaf. */
MUST_CHECK bool partition_trees_announce(struct partition_trees *trees, const struct relation *root,
                                         const struct relation *leaf, struct error *err);

/*
 * A row of relation arrived after its own definition. If it is a root, the definition may be new; if it was a
 * leaf, it no longer is.
 */
MUST_CHECK bool partition_trees_define(struct partition_trees *trees, const struct relation *relation,
                                       struct error *err);
