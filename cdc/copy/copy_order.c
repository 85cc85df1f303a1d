/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_order.c - walks along the source's foreign keys, depth first.
 */
#include "cdc/copy/copy_order.h"

#include <assert.h>
#include <stdlib.h>

struct ordering {
    const struct table_list *list;
    const PGresult *references; /* (referring table, referred table), ordered */
    bool *is_visited;           /* by index in list */
    struct table *tables;
    size_t count;
};

static oid_t get_oid(const PGresult *result, int row, int field) {
    return (oid_t) strtoul(PQgetvalue(result, row, field), NULL, 10);
}

/* A deferrable constraint is deferred to the end of the copy. */
static bool read_references(struct session *source, PGresult **ret_references, struct error *err) {
    return session_query(source,
                         "select distinct conrelid, confrelid from pg_constraint"
                         " where contype = 'f' and not condeferrable order by 1, 2",
                         0, NULL,
                         &(const struct result_shape){"the query for foreign keys", 0, RESULT_ROWS_ANY, 2, 0},
                         ret_references, err);
}

/* The first row of the referring table, or of the next one. */
static int find_references(const PGresult *references, oid_t oid) {
    int low = 0, high = PQntuples(references);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (get_oid(references, middle, 0) < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void visit(struct ordering *ordering, size_t index);

static void visit_oid(struct ordering *ordering, oid_t oid) {
    for (size_t i = 0; i < ordering->list->count; i++)
        if (ordering->list->tables[i].oid == oid)
            visit(ordering, i);
}

/* Recurses as deep as the longest chain of foreign keys. */
static void visit(struct ordering *ordering, size_t index) {
    const struct table *table = &ordering->list->tables[index];
    const PGresult *references = ordering->references;
    if (ordering->is_visited[index])
        return;
    ordering->is_visited[index] = true;
    int row = find_references(references, table->oid);
    for (; row < PQntuples(references) && get_oid(references, row, 0) == table->oid; row++)
        visit_oid(ordering, get_oid(references, row, 1));
    ordering->tables[ordering->count++] = *table;
}

bool copy_order(struct session *source, const struct table_list *list, struct arena *arena,
                struct table_list *ret_ordered, struct error *err) {
    PGresult *references AUTO_PGRESULT = NULL;
    if (!read_references(source, &references, err))
        return false;
    struct ordering ordering = {
        .list = list,
        .references = references,
        .is_visited = arena_alloc_zero(arena, list->count * sizeof *ordering.is_visited),
        .tables = arena_alloc(arena, list->count * sizeof *ordering.tables),
    };
    if (ordering.is_visited == NULL || ordering.tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < list->count; i++)
        visit(&ordering, i);
    assert(ordering.count == list->count);
    *ret_ordered = (struct table_list){.tables = ordering.tables, .count = ordering.count};
    return true;
}
