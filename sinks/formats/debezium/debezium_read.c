/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_read.c - parses with yajl's tree, and writes each value again in one form.
 */
#include "sinks/formats/debezium/debezium_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "cdc/base/json_text.h"

enum { PROBLEM_MAX = 64, DEPTH_MAX = 64 };

#define VALUE_BYTES_MAX ((size_t) 2 << 30)

/* One message. */
struct envelope {
    yajl_val root; /* the payload */
    bool has_key;  /* then the old row has the key's values only, as far as can be told */
    struct arena *arena;
    struct relation *relation;
    struct change *change;
    struct error *err;
};

static bool is_no_message(struct error *err, const char *problem) {
    return error_set(err, ERROR_PROTOCOL, "no message of debezium-json: %s", problem);
}

/* ---- JSON ---- */

static yajl_val find_in(yajl_val value, const char *key, yajl_type type) {
    const char *const path[] = {key, NULL};
    return yajl_tree_get(value, (const char **) (uintptr_t) path, type);
}

/* With a schema, the message is its payload. A column's value never has a type. */
static yajl_val payload_of(yajl_val root) {
    yajl_val schema = find_in(root, "schema", yajl_t_object);
    yajl_val payload = find_in(root, "payload", yajl_t_any);
    return payload != NULL && find_in(schema, "type", yajl_t_string) != NULL ? payload : root;
}

static bool put_json(struct buffer *json, yajl_val value, int depth);

static bool put_members(struct buffer *json, yajl_val value, int depth) {
    bool good = true;
    buffer_append_u8(json, '{');
    for (size_t i = 0; i < value->u.object.len && good; i++) {
        buffer_append_text(json, i > 0 ? "," : "");
        good = json_append_string(json, slice_of(value->u.object.keys[i]));
        buffer_append_u8(json, ':');
        good = good && put_json(json, value->u.object.values[i], depth + 1);
    }
    buffer_append_u8(json, '}');
    return good;
}

static bool put_elements(struct buffer *json, yajl_val value, int depth) {
    bool good = true;
    buffer_append_u8(json, '[');
    for (size_t i = 0; i < value->u.array.len && good; i++) {
        buffer_append_text(json, i > 0 ? "," : "");
        good = put_json(json, value->u.array.values[i], depth + 1);
    }
    buffer_append_u8(json, ']');
    return good;
}

/* A number stays the text that it is. */
static bool put_json(struct buffer *json, yajl_val value, int depth) {
    if (depth > DEPTH_MAX)
        return false;
    if (YAJL_IS_OBJECT(value))
        return put_members(json, value, depth);
    if (YAJL_IS_ARRAY(value))
        return put_elements(json, value, depth);
    if (YAJL_IS_STRING(value))
        return json_append_string(json, slice_of(value->u.string));
    buffer_append_text(json, YAJL_IS_NUMBER(value)  ? value->u.number.r
                             : YAJL_IS_TRUE(value)  ? "true"
                             : YAJL_IS_FALSE(value) ? "false"
                                                    : "null");
    return true;
}

static bool copy_json(yajl_val value, struct arena *arena, struct slice *ret_text, struct error *err) {
    struct buffer json AUTO(buffer_release) = {.bytes_max = VALUE_BYTES_MAX};
    if (!put_json(&json, value, 0))
        return is_no_message(err, "a value has too many levels");
    const char *text = buffer_ok(&json) ? arena_copy(arena, buffer_slice(&json)) : NULL;
    if (text == NULL)
        return error_no_memory(err);
    *ret_text = (struct slice){.data = text, .size = json.size};
    return true;
}

/* The caller frees *ret_root. */
static bool parse_json(struct slice text, struct arena *arena, yajl_val *ret_root, struct error *err) {
    char problem[PROBLEM_MAX];
    const char *copy = arena_copy(arena, text);
    *ret_root = NULL;
    if (copy == NULL)
        return error_no_memory(err);
    if (strlen(copy) == text.size)
        *ret_root = yajl_tree_parse(copy, problem, sizeof problem);
    return *ret_root != NULL ? true : is_no_message(err, "it is not JSON");
}

static void free_tree(yajl_val *root) {
    yajl_tree_free(*root);
}

/* ---- rows ---- */

static bool copy_name(const struct envelope *e, const char *text, struct slice *ret_name) {
    const char *copy = arena_copy(e->arena, slice_of(text));
    if (copy == NULL)
        return error_no_memory(e->err);
    *ret_name = slice_of(copy);
    return true;
}

static bool make_relation(struct envelope *e, yajl_val row, const char *schema, const char *table) {
    const size_t count = row != NULL ? row->u.object.len : 0;
    struct relation *relation = arena_alloc_zero(e->arena, sizeof *relation);
    struct column *columns = arena_alloc_zero(e->arena, (count + 1) * sizeof *columns);
    if (count > RELATION_COLUMNS_MAX)
        return is_no_message(e->err, "too many columns");
    if (relation == NULL || columns == NULL)
        return error_no_memory(e->err);
    for (size_t i = 0; i < count; i++)
        if (!copy_name(e, row->u.object.keys[i], &columns[i].name))
            return false;
    relation->column_count = (uint32_t) count;
    relation->columns = columns;
    e->relation = relation;
    return copy_name(e, schema, &relation->schema) && copy_name(e, table, &relation->name);
}

/* Both rows of a message have the same columns, in the same order. */
static yajl_val find_value(yajl_val row, const struct relation *relation, uint32_t column) {
    const char *name = relation->columns[column].name.data;
    if (column < row->u.object.len && strcmp(row->u.object.keys[column], name) == 0)
        return row->u.object.values[column];
    return find_in(row, name, yajl_t_any);
}

static bool take_json(struct envelope *e, yajl_val found, struct value *ret_value) {
    struct slice text;
    *ret_value = (struct value){.kind = VALUE_NULL};
    if (found == NULL || YAJL_IS_NULL(found))
        return true;
    if (!copy_json(found, e->arena, &text, e->err))
        return false;
    *ret_value = (struct value){.kind = VALUE_TEXT, .data = text.data, .size = (uint32_t) text.size};
    return text.size <= UINT32_MAX || is_no_message(e->err, "a value is too large");
}

static bool take_values(struct envelope *e, yajl_val row, const struct value **ret_values) {
    struct value *values = arena_alloc(e->arena, (e->relation->column_count + 1) * sizeof *values);
    if (values == NULL)
        return error_no_memory(e->err);
    for (uint32_t i = 0; i < e->relation->column_count; i++)
        if (!take_json(e, find_value(row, e->relation, i), &values[i]))
            return false;
    *ret_values = values;
    return true;
}

/* ---- the envelope ---- */

static enum change_kind kind_of_operation(const char *operation) {
    static const struct {
        const char *operation;
        enum change_kind kind;
    } KINDS[] = {{"c", CHANGE_INSERT},
                 {"u", CHANGE_UPDATE},
                 {"d", CHANGE_DELETE},
                 {"r", CHANGE_READ},
                 {"t", CHANGE_TRUNCATE}};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strcmp(KINDS[i].operation, operation) == 0)
            return KINDS[i].kind;
    return CHANGE_MESSAGE;
}

static bool take_place(struct envelope *e, yajl_val source) {
    struct transaction *transaction = arena_alloc_zero(e->arena, sizeof *transaction);
    yajl_val sequence = find_in(source, "sequence", yajl_t_string);
    uint64_t commit_lsn = 0, lsn = 0;
    if (transaction == NULL)
        return error_no_memory(e->err);
    if (sequence == NULL)
        return is_no_message(e->err, "it has no source.sequence");
    const char *text = sequence->u.string;
    if (sscanf(text, "[null,\"%" SCNu64 "\"]", &lsn) == 1)
        commit_lsn = debezium_read_row_lsn(lsn);
    else if (sscanf(text, "[\"%" SCNu64 "\",\"%" SCNu64 "\"]", &commit_lsn, &lsn) != 2)
        return is_no_message(e->err, "its source.sequence is unknown");
    transaction->commit_lsn = commit_lsn;
    e->change->transaction = transaction;
    e->change->lsn = e->change->index = lsn;
    return true;
}

static bool take_rows_of(struct envelope *e, yajl_val before, yajl_val after) {
    struct change *change = e->change;
    const bool needs_after = change->kind != CHANGE_DELETE;
    if ((needs_after && after == NULL) || (before == NULL && after == NULL))
        return is_no_message(e->err, "it has no row");
    change->relation = e->relation;
    change->old_kind = before == NULL ? OLD_NONE : e->has_key ? OLD_KEY : OLD_FULL;
    return (before == NULL || take_values(e, before, &change->old_values)) &&
           (after == NULL || !needs_after || take_values(e, after, &change->new_values));
}

static bool take_truncated(struct envelope *e) {
    const struct relation **relations = arena_alloc(e->arena, sizeof *relations);
    if (relations == NULL)
        return error_no_memory(e->err);
    relations[0] = e->relation;
    e->change->relations = relations;
    e->change->relation_count = 1;
    return true;
}

static bool take_envelope(struct envelope *e) {
    yajl_val operation = find_in(e->root, "op", yajl_t_string);
    yajl_val source = find_in(e->root, "source", yajl_t_object);
    yajl_val schema = find_in(source, "schema", yajl_t_string);
    yajl_val table = find_in(source, "table", yajl_t_string);
    yajl_val before = find_in(e->root, "before", yajl_t_object);
    yajl_val after = find_in(e->root, "after", yajl_t_object);
    if (operation == NULL || schema == NULL || table == NULL)
        return is_no_message(e->err, "it is no envelope");
    e->change->kind = kind_of_operation(operation->u.string);
    if (e->change->kind == CHANGE_MESSAGE)
        return is_no_message(e->err, "its operation is unknown");
    if (!make_relation(e, after != NULL ? after : before, schema->u.string, table->u.string) ||
        !take_place(e, source))
        return false;
    return e->change->kind == CHANGE_TRUNCATE ? take_truncated(e) : take_rows_of(e, before, after);
}

static bool read_key(struct slice key, struct arena *arena, struct slice *ret_key, struct error *err) {
    yajl_val root AUTO(free_tree) = NULL;
    *ret_key = (struct slice){0};
    if (key.data == NULL)
        return true;
    return parse_json(key, arena, &root, err) && copy_json(payload_of(root), arena, ret_key, err);
}

bool debezium_read(struct slice key, struct slice value, struct arena *arena,
                   struct format_reading *ret_reading, struct error *err) {
    struct format_reading reading = {.is_tombstone = value.data == NULL};
    yajl_val root AUTO(free_tree) = NULL;
    if (!read_key(key, arena, &reading.key, err))
        return false;
    if (!reading.is_tombstone) {
        struct envelope envelope = {
            .has_key = key.data != NULL, .arena = arena, .change = &reading.change, .err = err};
        if (!parse_json(value, arena, &root, err))
            return false;
        envelope.root = payload_of(root);
        if (!take_envelope(&envelope))
            return false;
    }
    *ret_reading = reading;
    return true;
}
