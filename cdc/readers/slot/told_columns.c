/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_columns.c - takes the messages apart, and keeps the last one of each table.
 *
 *     Message = 'M' flags:u8 lsn:u64 prefix:string size:u32 content
 *     content = stamp ' ' JSON of one table | 'lost' | nothing
 */
#include "cdc/readers/slot/told_columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "cdc/base/buffer.h"
#include "cdc/base/cursor.h"
#include "cdc/base/log.h"
#include "cdc/source/ddl_triggers.h"
#include "decoder/relation.h"

enum {
    VERSION = 2,
    TRANSACTIONAL = 1,
    CONTENT_BYTES_MAX = 4 * 1024 * 1024,
    DEPTH_MAX = 3, /* the table, its columns, one of them */
    BLOCK_BYTES = 64 * 1024,
    BYTES_KEPT = 64 * 1024 * 1024, /* more is forgotten */
    PROBLEM_MAX = 64,
};

struct told_table {
    struct slice stamp;
    struct slice signed_text; /* what the stamp is made of */
    struct catalog_table catalog;
};

void told_columns_init(struct told_columns *told, bool is_on) {
    *told = (struct told_columns){.is_on = is_on};
    arena_init(&told->arena, BLOCK_BYTES, 2 * (size_t) BYTES_KEPT);
}

void told_columns_release(struct told_columns *told) {
    map_release(&told->tables);
    arena_release(&told->arena);
    *told = (struct told_columns){0};
}

static void forget_all(struct told_columns *told) {
    map_reset(&told->tables);
    arena_reset(&told->arena);
}

/* ---- one message ---- */

static yajl_val told_field(yajl_val object, const char *key, yajl_type type) {
    const char *const path[] = {key, NULL};
    return yajl_tree_get(object, (const char **) (uintptr_t) path, type);
}

static bool told_number(yajl_val object, const char *key, long long min, long long max,
                        long long *ret_number) {
    const yajl_val value = told_field(object, key, yajl_t_number);
    if (value == NULL || !YAJL_IS_INTEGER(value))
        return false;
    *ret_number = YAJL_GET_INTEGER(value);
    return *ret_number >= min && *ret_number <= max;
}

/* False: it is missing. *ret_text in arena; data NULL when memory is exhausted. */
static bool told_text(yajl_val object, const char *key, struct arena *arena, struct slice *ret_text) {
    const yajl_val value = told_field(object, key, yajl_t_string);
    if (value == NULL)
        return false;
    const struct slice text = slice_of(YAJL_GET_STRING(value));
    *ret_text = (struct slice){.data = arena_copy(arena, text), .size = text.size};
    return ret_text->data != NULL;
}

/*
 * Is it a name and numbers in parentheses, as format_type makes them, and nothing else? This text becomes a
 * part of a statement at the target, and who has the key could write another one.
 */
static bool is_type_text(struct slice text) {
    bool is_quoted = false, is_inside = false;
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i];
        if (c == '"')
            is_quoted = !is_quoted;
        if (is_quoted || c == '"')
            continue;
        const bool is_number = (c >= '0' && c <= '9') || c == '-' || c == ',';
        const bool is_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                             c == '_' || c == '.' || c == ' ' || c == '[' || c == ']';
        if (c == '(' || c == ')') {
            if (is_inside == (c == '('))
                return false;
            is_inside = c == '(';
        } else if (is_inside ? !is_number : !is_name) {
            return false;
        }
    }
    return !is_quoted && !is_inside;
}

static bool take_told_column(yajl_val object, long long number, struct arena *arena,
                             struct catalog_column *column) {
    long long found = 0, type = 0, modifier = 0;
    *column = (struct catalog_column){0};
    if (!told_number(object, "number", number, number, &found))
        return false;
    if (told_field(object, "dropped", yajl_t_true) != NULL) {
        column->is_dropped = true;
        return true;
    }
    if (!told_number(object, "type", 1, UINT32_MAX, &type) ||
        !told_number(object, "modifier", INT32_MIN, INT32_MAX, &modifier) ||
        !told_text(object, "name", arena, &column->name) ||
        !told_text(object, "type_sql", arena, &column->type_sql))
        return false;
    if (!is_type_text(column->type_sql))
        column->type_sql = (struct slice){0};
    column->type_oid = (oid_t) type;
    column->type_modifier = (int32_t) modifier;
    return told_field(object, "missing", yajl_t_null) != NULL ||
           told_text(object, "missing", arena, &column->missing);
}

static bool take_told_columns(yajl_val root, struct arena *arena, struct catalog_table *table) {
    const yajl_val list = told_field(root, "columns", yajl_t_array);
    if (list == NULL || YAJL_GET_ARRAY(list)->len > RELATION_COLUMNS_MAX)
        return false;
    const size_t count = YAJL_GET_ARRAY(list)->len;
    table->columns = arena_alloc(arena, (count + 1) * sizeof *table->columns);
    table->column_count = (uint32_t) count;
    for (size_t i = 0; table->columns != NULL && i < count; i++)
        if (!take_told_column(YAJL_GET_ARRAY(list)->values[i], (long long) i + 1, arena, &table->columns[i]))
            return false;
    return table->columns != NULL;
}

static bool take_told_table(struct told_columns *told, yajl_val root, struct slice stamp,
                            struct slice signed_text) {
    long long version = 0, oid = 0;
    struct told_table *table = arena_alloc_zero(&told->arena, sizeof *table);
    if (table == NULL || !told_number(root, "version", VERSION, VERSION, &version) ||
        !told_number(root, "oid", 1, UINT32_MAX, &oid))
        return false;
    table->stamp = stamp;
    table->signed_text = signed_text;
    table->catalog.oid = (oid_t) oid;
    return take_told_columns(root, &told->arena, &table->catalog) &&
           map_put_number(&told->tables, table->catalog.oid, table);
}

/* Everyone may write such a message, and the parser calls itself for each level. */
static bool is_shallow(struct slice json) {
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < json.size && depth <= DEPTH_MAX; i++) {
        const char c = json.data[i];
        if (in_string)
            i += c == '\\';
        if (c == '"')
            in_string = !in_string;
        else if (!in_string)
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    }
    return depth <= DEPTH_MAX;
}

/* "XID JSON", in the arena; NULL when memory is exhausted. *ret_json: where the second begins. */
static const char *copy_signed(struct told_columns *told, xid_t xid, struct slice json,
                               struct slice *ret_text, const char **ret_json) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = CONTENT_BYTES_MAX + BLOCK_BYTES};
    buffer_printf(&text, "%" PRIu32 " ", xid);
    const size_t before = text.size;
    buffer_append(&text, json.data, json.size);
    const char *copy = buffer_ok(&text) ? arena_copy(&told->arena, buffer_slice(&text)) : NULL;
    *ret_text = (struct slice){.data = copy, .size = text.size};
    *ret_json = copy != NULL ? copy + before : NULL;
    return copy;
}

static bool take_content(struct told_columns *told, xid_t xid, struct slice content) {
    char problem[PROBLEM_MAX];
    struct slice signed_text = {0};
    const char *text = NULL;
    if (content.size > CONTENT_BYTES_MAX || content.size <= DDL_STAMP_SIZE ||
        content.data[DDL_STAMP_SIZE] != ' ')
        return false;
    const struct slice json = {.data = content.data + DDL_STAMP_SIZE + 1,
                               .size = content.size - DDL_STAMP_SIZE - 1};
    const char *stamp =
        arena_copy(&told->arena, (struct slice){.data = content.data, .size = DDL_STAMP_SIZE});
    if (!is_shallow(json) || stamp == NULL || copy_signed(told, xid, json, &signed_text, &text) == NULL ||
        strlen(text) != json.size)
        return false;
    yajl_val root = yajl_tree_parse(text, problem, sizeof problem);
    const bool is_taken =
        root != NULL &&
        take_told_table(told, root, (struct slice){.data = stamp, .size = DDL_STAMP_SIZE}, signed_text);
    yajl_tree_free(root);
    return is_taken;
}

/* ---- the stream ---- */

static void take_own(struct told_columns *told, xid_t xid, struct slice content) {
    if (told->arena.held_bytes > BYTES_KEPT)
        forget_all(told);
    if (content.size == 0 || take_content(told, xid, content))
        return;
    forget_all(told);
    if (!told->has_warned)
        log_line(LOG_MESSAGE_UNREADABLE, "a message with prefix " DDL_MESSAGE_PREFIX
                                         " cannot be read, so the columns of changed tables are seen in the "
                                         "source's catalog until they change again");
    told->has_warned = true;
}

bool told_columns_take(struct told_columns *told, xid_t xid, struct slice payload, bool *ret_own,
                       struct error *err) {
    struct cursor cursor = cursor_over(payload);
    cursor_u8(&cursor);
    const uint8_t flags = cursor_u8(&cursor);
    cursor_u64(&cursor);
    const struct slice prefix = cursor_string(&cursor);
    const struct slice content = cursor_bytes(&cursor, cursor_u32(&cursor));
    *ret_own = false;
    if (!cursor_finish(&cursor) || flags > TRANSACTIONAL || (flags == TRANSACTIONAL && xid == 0))
        return error_set(err, ERROR_PROTOCOL, "a malformed message of pg_logical_emit_message");
    *ret_own = slice_equal(prefix, slice_of(DDL_MESSAGE_PREFIX));
    if (*ret_own && told->is_on && flags == TRANSACTIONAL)
        take_own(told, xid, content);
    return true;
}

const struct catalog_table *told_columns_find(const struct told_columns *told, oid_t oid,
                                              const struct ddl_triggers *triggers) {
    const struct told_table *table = map_find_number(&told->tables, oid);
    return table != NULL && ddl_triggers_wrote(triggers, table->signed_text, table->stamp) ? &table->catalog
                                                                                           : NULL;
}
