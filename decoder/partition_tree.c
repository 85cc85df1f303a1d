/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_tree.c - derives a root's identity from its leaves.
 */
#include "decoder/partition_tree.h"

#include <string.h>

#define BLOCK_BYTES ((size_t) 16 * 1024)
#define BYTES_MAX (SIZE_MAX / 2)

struct leaf {
    struct tree *tree;               /* NULL: detached */
    const struct relation *relation; /* as last announced */
    struct leaf *next; /* leaves of the tree; a detached leaf stays in the list but does not count */
};

struct tree {
    struct leaf *leaves;
    const struct relation *root; /* as sent */
};

/*
 * The identities of a tree's leaves together. A leaf without an identity sends neither updates nor deletes,
 * and does not count.
 */
struct logged {
    bool is_full;                 /* a leaf logs the whole old row */
    const struct relation *keyed; /* a leaf that logs a key, or NULL */
    bool is_unclear;              /* two leaves log different keys, or one logs a column that is not sent */
    enum key_certainty certainty; /* the least among the leaves */
};

bool partition_trees_init(struct partition_trees *trees) {
    arena_init(&trees->arena, BLOCK_BYTES, BYTES_MAX);
    trees->relations = relation_cache_new();
    return trees->relations != NULL;
}

void partition_trees_release(struct partition_trees *trees) {
    map_release(&trees->trees);
    map_release(&trees->leaves);
    relation_cache_free(trees->relations);
    arena_release(&trees->arena);
}

const struct relation *partition_trees_find(const struct partition_trees *trees, oid_t oid) {
    return map_find_number(&trees->trees, oid) == NULL ? NULL : relation_cache_find(trees->relations, oid);
}

static bool has_key_column(const struct relation *relation, struct slice name) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (relation->columns[i].is_key && slice_equal(relation->columns[i].name, name))
            return true;
    return false;
}

static bool keys_equal(const struct relation *a, const struct relation *b) {
    bool equal = a->key_count == b->key_count;
    for (uint32_t i = 0; equal && i < a->column_count; i++)
        equal = !a->columns[i].is_key || has_key_column(b, a->columns[i].name);
    return equal;
}

static struct logged look_at_leaves(const struct tree *tree) {
    struct logged logged = {0};
    for (const struct leaf *leaf = tree->leaves; leaf != NULL; leaf = leaf->next) {
        if (leaf->tree != tree || leaf->relation->identity == REPLICA_IDENTITY_NOTHING)
            continue;
        logged.is_unclear = logged.is_unclear || leaf->relation->is_unclear;
        if (leaf->relation->certainty > logged.certainty)
            logged.certainty = leaf->relation->certainty;
        if (leaf->relation->identity == REPLICA_IDENTITY_FULL)
            logged.is_full = true;
        else if (leaf->relation->key_count > 0 && logged.keyed == NULL)
            logged.keyed = leaf->relation;
        else if (leaf->relation->key_count > 0 && !keys_equal(logged.keyed, leaf->relation))
            logged.is_unclear = true;
    }
    return logged;
}

/* Every leaf logs everything: the old tuple that is sent as the root's key is the whole old row. */
static void take_whole_row(struct relation *relation) {
    relation->identity = REPLICA_IDENTITY_FULL;
    relation->key_count = relation->column_count;
    for (uint32_t i = 0; i < relation->column_count; i++)
        relation->columns[i].is_key = true;
}

static void take_key(const struct relation *leaf, struct relation *relation) {
    relation->key_count = 0;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        relation->columns[i].is_key = has_key_column(leaf, relation->columns[i].name);
        relation->key_count += relation->columns[i].is_key;
    }
    relation->is_unclear = relation->is_unclear || relation->key_count < leaf->key_count;
    if (relation->identity == REPLICA_IDENTITY_FULL || relation->identity == REPLICA_IDENTITY_NOTHING)
        relation->identity = REPLICA_IDENTITY_INDEX;
}

/* A root with a key over leaves that are all FULL is unchanged: its key finds the row. */
static bool partition_tree_settle(struct partition_trees *trees, const struct tree *tree, struct error *err) {
    struct column columns[RELATION_COLUMNS_MAX];
    const struct logged logged = look_at_leaves(tree);
    const struct relation *settled = NULL;
    struct relation relation = *tree->root;
    memcpy(columns, tree->root->columns, relation.column_count * sizeof *columns);
    relation.columns = columns;
    relation.is_tree = true;
    relation.is_unclear = logged.is_unclear;
    if (logged.keyed != NULL || logged.certainty > relation.certainty)
        relation.certainty = logged.certainty;
    if (logged.keyed != NULL)
        take_key(logged.keyed, &relation);
    else if (logged.is_full && (relation.key_count == 0 || relation.identity == REPLICA_IDENTITY_FULL))
        take_whole_row(&relation);
    relation.needs_old =
        relation.key_count == 0 || relation.is_unclear || relation.identity == REPLICA_IDENTITY_FULL;
    return relation_cache_put(trees->relations, &relation, &settled, err);
}

static struct tree *find_tree(const struct partition_trees *trees, oid_t oid) {
    return map_find_number(&trees->trees, oid);
}

static struct leaf *find_leaf(const struct partition_trees *trees, oid_t oid) {
    return map_find_number(&trees->leaves, oid);
}

static struct tree *take_tree(struct partition_trees *trees, oid_t oid) {
    struct tree *tree = find_tree(trees, oid);
    if (tree != NULL)
        return tree;
    tree = arena_alloc_zero(&trees->arena, sizeof *tree);
    if (tree == NULL)
        return NULL;
    return map_put_number(&trees->trees, oid, tree) ? tree : NULL;
}

static struct leaf *take_leaf(struct partition_trees *trees, struct tree *tree, oid_t oid) {
    struct leaf *leaf = find_leaf(trees, oid);
    if (leaf != NULL && leaf->tree == tree)
        return leaf;
    if (leaf != NULL)
        leaf->tree = NULL; /* the leaf belongs to another table now */
    leaf = arena_alloc_zero(&trees->arena, sizeof *leaf);
    if (leaf == NULL || !map_put_number(&trees->leaves, oid, leaf))
        return NULL;
    *leaf = (struct leaf){.tree = tree, .next = tree->leaves};
    tree->leaves = leaf;
    return leaf;
}

/* A leaf with the same identity as the one before changes nothing: a tree may have thousands. */
static bool is_like(const struct leaf *last, const struct tree *tree, const struct relation *relation) {
    return last != NULL && last->tree == tree && !relation->is_unclear &&
           last->relation->certainty == relation->certainty &&
           last->relation->identity == relation->identity && keys_equal(last->relation, relation);
}

bool partition_trees_announce(struct partition_trees *trees, const struct relation *root,
                              const struct relation *leaf_relation, struct error *err) {
    struct tree *tree = take_tree(trees, root->oid);
    struct leaf *leaf = tree == NULL ? NULL : take_leaf(trees, tree, leaf_relation->oid);
    if (leaf == NULL)
        return error_no_memory(err);
    const bool known =
        tree->root == root && (leaf->relation == leaf_relation ||
                               (leaf->relation == NULL && is_like(leaf->next, tree, leaf_relation)));
    leaf->relation = leaf_relation;
    if (known)
        return true;
    tree->root = root;
    return partition_tree_settle(trees, tree, err);
}

bool partition_trees_define(struct partition_trees *trees, const struct relation *relation,
                            struct error *err) {
    struct tree *tree = find_tree(trees, relation->oid);
    struct leaf *leaf = find_leaf(trees, relation->oid);
    if (leaf != NULL && leaf->tree != NULL) {
        tree = leaf->tree;
        leaf->tree = NULL;
        return partition_tree_settle(trees, tree, err);
    }
    if (tree == NULL || tree->root == relation)
        return true;
    tree->root = relation;
    return partition_tree_settle(trees, tree, err);
}
