/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_tree.c - a root's identity, from that of its leaves.
 */
#include "decoder/partition_tree.h"

static const struct partition_tree *find_tree(const struct partition_trees *trees, oid_t oid) {
    for (size_t i = 0; trees != NULL && i < trees->count; i++)
        if (trees->trees[i].root_oid == oid)
            return &trees->trees[i];
    return NULL;
}

static bool is_key_of(const struct partition_tree *tree, struct slice name) {
    for (uint32_t i = 0; i < tree->key_count; i++)
        if (slice_equal(tree->keys[i], name))
            return true;
    return false;
}

/* A root without a key over leaves that log everything: what comes as its key is the whole old row. */
static void take_whole_row(struct relation *relation) {
    relation->identity = REPLICA_IDENTITY_FULL;
    relation->key_count = relation->column_count;
    for (uint32_t i = 0; i < relation->column_count; i++)
        relation->columns[i].is_key = true;
}

static void take_keys(const struct partition_tree *tree, struct relation *relation) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        relation->columns[i].is_key = is_key_of(tree, relation->columns[i].name);
        found += relation->columns[i].is_key;
    }
    relation->key_count = found;
    relation->is_unclear = found < tree->key_count;
    if (relation->identity == REPLICA_IDENTITY_FULL || relation->identity == REPLICA_IDENTITY_NOTHING)
        relation->identity = REPLICA_IDENTITY_INDEX;
}

void partition_trees_settle(const struct partition_trees *trees, struct relation *relation) {
    const struct partition_tree *tree = find_tree(trees, relation->oid);
    if (tree == NULL)
        return;
    relation->is_tree = true;
    if (tree->differs)
        relation->is_unclear = true;
    else if (!tree->is_full && tree->key_count > 0)
        take_keys(tree, relation);
    else if (tree->is_full && (relation->key_count == 0 || relation->identity == REPLICA_IDENTITY_FULL))
        take_whole_row(relation);
}
