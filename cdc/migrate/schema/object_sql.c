/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_sql.c - the statements of one object.
 *
 * pg_dump quotes every name (describe.c), so a name begins and ends with a quote, and a word without one is a
 * keyword. Owners are not part of pg_dump's statements; pg_restore adds them, and so does this.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/migrate/schema/object.h"
#include "cdc/pq/identifier.h"

#define SQL_BYTES_MAX ((size_t) 256 << 20) /* a function's body can be large */

static bool is_one_of(const char *kind, const char *const *kinds) {
    while (*kinds != NULL && strcmp(kind, *kinds) != 0)
        kinds++;
    return *kinds != NULL;
}

static const char *keep_text(struct buffer *text, struct arena *arena) {
    return buffer_ok(text) ? arena_copy(arena, buffer_slice(text)) : NULL;
}

/* ---- owners ---- */

/* Their names alone identify them; the kind is the word in ALTER. */
static const char *const NAMED_KINDS[] = {"COLLATION",
                                          "CONVERSION",
                                          "DOMAIN",
                                          "TABLE",
                                          "TYPE",
                                          "VIEW",
                                          "SEQUENCE",
                                          "STATISTICS",
                                          "MATERIALIZED VIEW",
                                          "SCHEMA",
                                          "SERVER",
                                          "FOREIGN TABLE",
                                          "PUBLICATION",
                                          "FOREIGN DATA WRAPPER",
                                          "PROCEDURAL LANGUAGE",
                                          "EVENT TRIGGER",
                                          "TEXT SEARCH DICTIONARY",
                                          "TEXT SEARCH CONFIGURATION",
                                          NULL};

/* Their DROP has the arguments too. */
static const char *const DROPPED_KINDS[] = {"AGGREGATE",       "FUNCTION",  "OPERATOR", "OPERATOR CLASS",
                                            "OPERATOR FAMILY", "PROCEDURE", NULL};

static bool put_owned(struct buffer *sql, const struct toc_entry *entry) {
    static const char DROP[] = "DROP ";
    size_t length = strlen(entry->drop);
    if (is_one_of(entry->kind, NAMED_KINDS)) {
        buffer_printf(sql, "ALTER %s ", entry->kind);
        if (entry->schema[0] != '\0')
            identifier_append_qualified(sql, slice_of(entry->schema), slice_of(entry->name));
        else
            identifier_append(sql, slice_of(entry->name));
        return true;
    }
    if (!is_one_of(entry->kind, DROPPED_KINDS) || strncmp(entry->drop, DROP, sizeof DROP - 1) != 0)
        return false;
    while (length > 0 && (entry->drop[length - 1] == '\n' || entry->drop[length - 1] == ';'))
        length--;
    buffer_append_text(sql, "ALTER ");
    buffer_append(sql, entry->drop + sizeof DROP - 1, length - (sizeof DROP - 1));
    return true;
}

static bool take_owner(struct object *object, const struct toc_entry *entry, const struct config *config,
                       struct arena *arena) {
    struct buffer sql AUTO(buffer_release);
    buffer_init(&sql, SQL_BYTES_MAX);
    if (!config->schema.owners || entry->owner[0] == '\0' || entry->drop[0] == '\0' ||
        !put_owned(&sql, entry))
        return true;
    buffer_append_text(&sql, " OWNER TO ");
    identifier_append(&sql, slice_of(entry->owner));
    object->owner = entry->owner;
    object->owner_sql = keep_text(&sql, arena);
    return object->owner_sql != NULL;
}

/* ---- definitions ---- */

/* The schema public of a new database: "-- *not* creating schema, since initdb creates it". */
static bool is_remark(const char *sql) {
    while (isspace((unsigned char) *sql) || strncmp(sql, "--", 2) == 0)
        sql += *sql == '-' ? strcspn(sql, "\n") : 1;
    return *sql == '\0';
}

static int compare_lines(const void *a, const void *b) {
    const struct slice *one = a;
    const struct slice *two = b;
    const size_t size = one->size < two->size ? one->size : two->size;
    const int order = memcmp(one->data, two->data, size);
    return order != 0 ? order : (one->size > two->size) - (one->size < two->size);
}

/* The order of grants says nothing. */
static bool put_sorted(struct buffer *text, const char *sql) {
    size_t count = 1;
    for (const char *at = sql; *at != '\0'; at++)
        count += *at == '\n';
    struct slice *lines = calloc(count, sizeof *lines);
    if (lines == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        lines[i] = (struct slice){.data = sql, .size = strcspn(sql, "\n")};
        sql += lines[i].size + 1;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) {
        buffer_append_slice(text, lines[i]);
        buffer_append_text(text, "\n");
    }
    free(lines);
    return true;
}

static bool take_definition(struct object *object, struct arena *arena) {
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, SQL_BYTES_MAX);
    const bool is_rights = object->pass == PASS_RIGHTS;
    if (!is_rights)
        buffer_append_text(&text, object->sql);
    else if (!put_sorted(&text, object->sql))
        return false;
    buffer_append_text(&text, object->owner_sql);
    object->definition = keep_text(&text, arena);
    return object->definition != NULL;
}

/* A table that is not a heap: pg_dump leaves the access method to a setting. */
static bool take_method(struct object *object, const struct toc_entry *entry, struct arena *arena) {
    struct buffer sql AUTO(buffer_release);
    buffer_init(&sql, SQL_BYTES_MAX);
    if (entry->method[0] == '\0' || strcmp(entry->method, "heap") == 0)
        return true;
    buffer_append_text(&sql, "SET LOCAL default_table_access_method = ");
    identifier_append(&sql, slice_of(entry->method));
    buffer_printf(&sql, ";\n%s;\nSET LOCAL default_table_access_method = heap", object->sql);
    object->sql = keep_text(&sql, arena);
    return object->sql != NULL;
}

bool object_take_sql(struct object *object, const struct toc_entry *entry, const struct config *config,
                     struct arena *arena) {
    object->sql = is_remark(entry->sql) ? "" : entry->sql;
    object->owner = object->owner_sql = "";
    return take_method(object, entry, arena) && take_owner(object, entry, config, arena) &&
           take_definition(object, arena);
}

/* ---- what a statement says ---- */

/* After the name that begins at text; NULL: none does. */
static const char *skip_name(const char *text) {
    if (*text != '"')
        return NULL;
    for (text++; *text != '\0'; text++)
        if (*text == '"' && *++text != '"')
            return text;
    return NULL;
}

static const char *skip_qualified(const char *text) {
    text = skip_name(text);
    return text != NULL && *text == '.' ? skip_name(text + 1) : text;
}

static const char *skip_word(const char *text, const char *word) {
    return strncmp(text, word, strlen(word)) == 0 ? text + strlen(word) : NULL;
}

/* "ALTER TABLE ONLY T\n    ADD CONSTRAINT C ...": where T and C are; false: another statement. */
struct added {
    struct slice table, constraint;
    const char *rest;
};

static bool find_added(const char *sql, struct added *ret_added) {
    const char *table = skip_word(sql, "ALTER TABLE ONLY ");
    const char *end = table != NULL ? skip_qualified(table) : NULL;
    const char *constraint = end != NULL ? skip_word(end, "\n    ADD CONSTRAINT ") : NULL;
    const char *rest = constraint != NULL ? skip_name(constraint) : NULL;
    if (rest == NULL)
        return false;
    ret_added->table = (struct slice){.data = table, .size = (size_t) (end - table)};
    ret_added->constraint = (struct slice){.data = constraint, .size = (size_t) (rest - constraint)};
    ret_added->rest = rest;
    return true;
}

bool object_is_key(const struct object *object) {
    struct added added;
    if (strcmp(object->kind, "CONSTRAINT") == 0 && find_added(object->sql, &added) &&
        skip_word(added.rest, " PRIMARY KEY") != NULL)
        return true;
    return (strcmp(object->kind, "INDEX") == 0 || strcmp(object->kind, "CONSTRAINT") == 0) &&
           strstr(object->sql, " REPLICA IDENTITY USING INDEX ") != NULL;
}

static bool ends_with(const char *sql, size_t length, const char *word) {
    return length >= strlen(word) && strncmp(sql + length - strlen(word), word, strlen(word)) == 0;
}

bool object_split_check(const struct object *object, struct arena *arena, const char **ret_add,
                        const char **ret_check) {
    struct added added;
    size_t length = strlen(object->sql);
    *ret_add = *ret_check = NULL;
    if (strcmp(object->kind, "FK CONSTRAINT") != 0 || !find_added(object->sql, &added))
        return true;
    while (length > 0 && (isspace((unsigned char) object->sql[length - 1]) || object->sql[length - 1] == ';'))
        length--;
    if (ends_with(object->sql, length, " NOT VALID") || ends_with(object->sql, length, " NOT ENFORCED"))
        return true;
    struct buffer sql AUTO(buffer_release);
    buffer_init(&sql, SQL_BYTES_MAX);
    buffer_append(&sql, object->sql, length);
    buffer_append_text(&sql, " NOT VALID");
    *ret_add = keep_text(&sql, arena);
    buffer_reset(&sql);
    buffer_append_text(&sql, "ALTER TABLE ONLY ");
    buffer_append_slice(&sql, added.table);
    buffer_append_text(&sql, " VALIDATE CONSTRAINT ");
    buffer_append_slice(&sql, added.constraint);
    *ret_check = keep_text(&sql, arena);
    return *ret_add != NULL && *ret_check != NULL;
}

/* ---- roles ---- */

/* The name without its quotes, which are doubled inside. */
static bool take_role(const char *begin, const char *end, object_role_taker *take, void *context) {
    struct buffer name AUTO(buffer_release);
    buffer_init(&name, 1024);
    for (const char *at = begin + 1; at < end - 1; at++) {
        buffer_append_u8(&name, (uint8_t) *at);
        at += *at == '"';
    }
    return buffer_ok(&name) && take(context, buffer_slice(&name));
}

/* 'text', in which a quote is doubled. */
static const char *skip_literal(const char *text) {
    for (text++; *text != '\0'; text++)
        if (*text == '\'' && *++text != '\'')
            break;
    return text;
}

static const char *skip_group(const char *text) {
    size_t depth = 0;
    do {
        if (*text == '"') {
            const char *end = skip_name(text);
            text = end != NULL ? end : text + strlen(text);
        } else if (*text == '\'') {
            text = skip_literal(text);
        } else {
            depth += *text == '(';
            depth -= *text == ')';
            text++;
        }
    } while (*text != '\0' && depth > 0);
    return text;
}

/* After TO, FROM, ROLE or AUTHORIZATION come roles; a mapping of a user has FOR. */
static bool begins_roles(const struct object *object, struct slice word) {
    static const char *const WORDS[] = {"TO", "FROM", "ROLE", "AUTHORIZATION", NULL};
    for (size_t i = 0; WORDS[i] != NULL; i++)
        if (slice_equal(word, slice_of(WORDS[i])))
            return true;
    return strcmp(object->kind, "USER MAPPING") == 0 && slice_equal(word, slice_of("FOR"));
}

static bool each_role_in(const struct object *object, object_role_taker *take, void *context) {
    const char *text = object->sql;
    bool is_role = false;
    while (*text != '\0') {
        const char *begin = text;
        if (*text == '"') {
            text = skip_name(text);
            if (text == NULL)
                return true;
            if (is_role && !take_role(begin, text, take, context))
                return false;
        } else if (*text == '\'') {
            text = skip_literal(text);
        } else if (*text == '(') {
            text = skip_group(text);
        } else if (isalpha((unsigned char) *text)) {
            text += strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_");
            is_role = begins_roles(object, (struct slice){.data = begin, .size = (size_t) (text - begin)});
        } else {
            text++;
        }
    }
    return true;
}

bool object_each_role(const struct object *object, object_role_taker *take, void *context) {
    static const char *const KINDS[] = {"ACL", "DEFAULT ACL", "POLICY", "USER MAPPING", NULL};
    return !is_one_of(object->kind, KINDS) || each_role_in(object, take, context);
}
