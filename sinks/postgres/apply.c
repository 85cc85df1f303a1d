/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.c - finds the tables of a span of changes and decides how it is applied.
 */
#include "sinks/postgres/apply.h"

#include <assert.h>
#include <stdlib.h>

#define CATALOG_BLOCK_BYTES (64u * 1024u)
#define CATALOG_BYTES_MAX (64u * 1024u * 1024u) /* thousands of tables of ordinary width */

struct apply *apply_new(struct postgres_sink *sink, enum trigger_role role) {
    struct apply *apply = calloc(1, sizeof *apply);
    if (apply == NULL)
        return NULL;
    apply->sink = sink;
    apply->role = role;
    apply->pipeline.session = &sink->session;
    arena_init(&apply->catalog, CATALOG_BLOCK_BYTES, CATALOG_BYTES_MAX);
    statements_init(&apply->statements);
    return apply;
}

void apply_free(struct apply *apply) {
    if (apply == NULL)
        return;
    statements_release(&apply->statements);
    oid_map_release(&apply->lookup);
    arena_release(&apply->catalog);
    free(apply->tables);
    free(apply);
}

static struct target_table *latest_table(const struct apply *apply, const struct relation *relation) {
    /* oid_map holds const objects; these are ours. */
    return (struct target_table *) (uintptr_t) oid_map_find(&apply->lookup, relation->oid);
}

struct target_table *apply_table(const struct apply *apply, const struct relation *relation) {
    struct target_table *table = latest_table(apply, relation);
    while (table != NULL && table->relation != relation)
        table = table->previous;
    return table;
}

static bool find_table(struct apply *apply, const struct change *change, const struct relation *relation,
                       struct target_table **ret_table, struct error *err) {
    struct target_table *table = apply_table(apply, relation);
    if (table == NULL) {
        if (!target_table_find(&apply->sink->session, relation, apply->role, &apply->catalog, &table, err))
            return error_wrap(
                err, "the transaction that commits at %s",
                lsn_format(change->transaction != NULL ? change->transaction->commit_lsn : 0).text);
        table->previous = latest_table(apply, relation);
        if (!oid_map_put(&apply->lookup, relation->oid, table))
            return error_no_memory(err);
    }
    *ret_table = table;
    return true;
}

static bool find_truncated(struct apply *apply, const struct change *change, struct error *err) {
    struct target_table *table = NULL;
    for (uint32_t i = 0; i < change->relation_count; i++)
        if (!find_table(apply, change, change->relations[i], &table, err))
            return false;
    return true;
}

/* Neighbours mostly change the same table. */
static bool find_tables(struct apply *apply, const struct change *changes, size_t count, struct error *err) {
    struct target_table *last = NULL;
    for (size_t i = 0; i < count; i++) {
        apply->tables[i] = NULL;
        if (changes[i].kind == CHANGE_TRUNCATE && !find_truncated(apply, &changes[i], err))
            return false;
        if (!change_is_row(&changes[i]))
            continue;
        if ((last == NULL || last->relation != changes[i].relation) &&
            !find_table(apply, &changes[i], changes[i].relation, &last, err))
            return false;
        apply->tables[i] = last;
    }
    return true;
}

static bool make_room(struct apply *apply, size_t count, struct error *err) {
    if (count <= apply->table_capacity)
        return true;
    struct target_table **tables = reallocarray(apply->tables, count, sizeof(*tables));
    if (tables == NULL)
        return error_no_memory(err);
    apply->tables = tables;
    apply->table_capacity = count;
    return true;
}

static bool has_work(const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (change_is_row(&changes[i]) || changes[i].kind == CHANGE_TRUNCATE)
            return true;
    return false;
}

bool apply_changes(struct apply *apply, const struct change *changes, size_t count, struct error *err) {
    if (!has_work(changes, count))
        return true;
    if (!make_room(apply, count, err) || !find_tables(apply, changes, count, err))
        return false;
    const struct span span = {.changes = changes, .tables = apply->tables, .count = count};
    return apply_rows(apply, &span, err);
}
