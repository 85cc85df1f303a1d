/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory.c - runs the query of each class, and decides which tables the pipeline moves.
 */
#include "cdc/migrate/plan/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/migrate/plan/inventory_sql.h"

static const struct {
    const char *name;
    const char *text;
} HOWS[] = {
    [HOW_ROWS] = {"rows", "copied and streamed"},
    [HOW_SCHEMA] = {"schema", "with the schema"},
    [HOW_GLOBALS] = {"globals", "with migrate.roles: create, or by hand"},
    [HOW_SWITCH] = {"switch", "with the schema, its content at the switch"},
    [HOW_HAND] = {"hand", "not moved: by hand"},
    [HOW_STAYS] = {"stays", "stays at the source"},
};

const char *how_name(enum how how) {
    return HOWS[how].name;
}

const char *how_text(enum how how) {
    return HOWS[how].text;
}

/* ---- which tables move ---- */

/* The OIDs of the tables that the pipeline sends, in order. */
struct sent {
    oid_t *oids;
    size_t count;
    bool is_known;
};

static int compare_oids(const void *a, const void *b) {
    const oid_t left = *(const oid_t *) a, right = *(const oid_t *) b;
    return (left > right) - (left < right);
}

static bool sent_read(struct check *check, struct sent *ret_sent, struct error *err) {
    *ret_sent =
        (struct sent){.is_known = check->has_tables, .count = check->has_tables ? check->tables.count : 0};
    ret_sent->oids = arena_alloc(&check->arena, (ret_sent->count + 1) * sizeof *ret_sent->oids);
    if (ret_sent->oids == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < ret_sent->count; i++)
        ret_sent->oids[i] = check->tables.tables[i].oid;
    qsort(ret_sent->oids, ret_sent->count, sizeof *ret_sent->oids, compare_oids);
    return true;
}

static bool sent_has(const struct sent *sent, oid_t oid) {
    return oid != 0 && bsearch(&oid, sent->oids, sent->count, sizeof oid, compare_oids) != NULL;
}

/* root: of a partition, else 0. */
static enum how find_how(const struct check *check, const struct sent *sent,
                         const struct inventory_object *object, oid_t root) {
    if (sent_has(sent, object->oid) || sent_has(sent, root))
        return HOW_ROWS;
    return !sent->is_known && config_takes_table(&check->config->source, object->schema, object->name)
               ? HOW_ROWS
               : HOW_STAYS;
}

/* ---- objects ---- */

static bool keep_text(struct check *check, const PGresult *rows, int row, int column, const char **ret_text) {
    if (PQgetisnull(rows, row, column))
        return true;
    *ret_text = arena_copy(&check->arena, slice_of(PQgetvalue(rows, row, column)));
    return *ret_text != NULL;
}

static int64_t take_count(const PGresult *rows, int row, int column) {
    return PQgetisnull(rows, row, column) ? COUNT_UNKNOWN : strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

static bool take_object(struct check *check, const PGresult *rows, int row, struct inventory_object *object) {
    *object = (struct inventory_object){
        .oid = result_oid(rows, row, OBJECT_OID),
        .name = "",
        .detail = "",
        .rows = take_count(rows, row, OBJECT_ROWS),
        .bytes = take_count(rows, row, OBJECT_BYTES),
        .index_bytes = take_count(rows, row, OBJECT_INDEX_BYTES),
    };
    return keep_text(check, rows, row, OBJECT_SCHEMA, &object->schema) &&
           keep_text(check, rows, row, OBJECT_NAME, &object->name) &&
           keep_text(check, rows, row, OBJECT_OWNER, &object->owner) &&
           keep_text(check, rows, row, OBJECT_DETAIL, &object->detail);
}

static int64_t add_known(int64_t sum, int64_t count) {
    return count > 0 ? sum + count : sum;
}

static bool take_class(struct check *check, const struct sent *sent, const struct class_query *query,
                       const PGresult *rows, struct inventory_class *class, struct error *err) {
    *class = (struct inventory_class){.name = query->name, .title = query->title, .remark = query->remark};
    const bool has_rows = query->is_of_tables || query->how == HOW_SWITCH;
    class->count = (size_t) PQntuples(rows);
    class->objects = arena_alloc(&check->arena, (class->count + 1) * sizeof *class->objects);
    if (class->objects == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(rows); row++) {
        struct inventory_object *object = &class->objects[row];
        if (!take_object(check, rows, row, object))
            return error_no_memory(err);
        object->how = query->is_of_tables ? find_how(check, sent, object, result_oid(rows, row, OBJECT_ROOT))
                                          : query->how;
        class->rows = add_known(class->rows, object->rows);
        class->unknown_rows += has_rows && object->rows < 0 && object->bytes > 0;
        class->bytes = add_known(class->bytes, object->bytes);
        class->index_bytes = add_known(class->index_bytes, object->index_bytes);
    }
    return true;
}

static bool read_class(struct check *check, const struct sent *sent, const struct class_query *query,
                       struct inventory_class *class, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    const struct result_shape shape = {query->title, 0, RESULT_ROWS_ANY, OBJECT_COLUMNS,
                                       RESULT_NULL_ANYWHERE};
    struct error answer = {0};
    if (session_query(&check->source, query->sql, 0, NULL, &shape, &rows, &answer))
        return take_class(check, sent, query, rows, class, err);
    *class = (struct inventory_class){
        .name = query->name, .title = query->title, .remark = "not read", .is_unread = true};
    if (answer.sqlstate[0] != '\0') {
        findings_add(&check->findings, SEVERITY_WARNING, "unchecked", "the %s could not be read: %s",
                     query->title, error_line(&answer).text);
        return true;
    }
    *err = answer;
    return false;
}

static bool read_size(struct check *check, int64_t *ret_bytes, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&check->source,
                       "select case when has_database_privilege(current_database(), 'connect') then"
                       " pg_database_size(current_database()) end",
                       0, NULL, &(const struct result_shape){"the database's size", 1, 1, 1, 1u}, &rows, err))
        return false;
    *ret_bytes = take_count(rows, 0, 0);
    return true;
}

bool inventory_read(struct check *check, struct inventory *ret_inventory, struct error *err) {
    struct inventory inventory = {0};
    struct sent sent;
    while (CLASS_QUERIES[inventory.class_count].name != NULL)
        inventory.class_count++;
    inventory.classes = arena_alloc_zero(&check->arena, inventory.class_count * sizeof *inventory.classes);
    if (inventory.classes == NULL)
        return error_no_memory(err);
    if (!sent_read(check, &sent, err) || !read_size(check, &inventory.database_bytes, err))
        return false;
    for (size_t i = 0; i < inventory.class_count; i++)
        if (!read_class(check, &sent, &CLASS_QUERIES[i], &inventory.classes[i], err))
            return false;
    *ret_inventory = inventory;
    return true;
}

const struct inventory_class *inventory_find(const struct inventory *inventory, const char *name) {
    for (size_t i = 0; i < inventory->class_count; i++)
        if (strcmp(inventory->classes[i].name, name) == 0)
            return &inventory->classes[i];
    return NULL;
}
