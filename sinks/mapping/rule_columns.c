/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule_columns.c - the numbers, and their text: a line for each name, whose bytes are hexadecimal.
 *
 *     column OID NUMBER NAME
 */
#include "sinks/mapping/rule_columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "sinks/mapping/column_trace.h"
#include "sinks/mapping/match.h"
#include "sinks/mapping/table_expressions.h"

#define TABLES_BYTES_MAX ((size_t) 1 << 30)
#define MEMORY_BYTES_MAX ((size_t) 256 << 20)

enum { TABLES_BLOCK_BYTES = 16 * 1024 };

struct ruled_name {
    struct slice name;
    uint32_t number;
    bool is_used; /* by a rule as it is now */
};

struct ruled_table {
    oid_t oid;
    uint32_t count;
    uint32_t capacity;
    struct ruled_name *names;
};

void rule_columns_init(struct rule_columns *columns, const struct sink_config *config) {
    *columns = (struct rule_columns){.config = config};
    arena_init(&columns->arena, TABLES_BLOCK_BYTES, TABLES_BYTES_MAX);
}

void rule_columns_release(struct rule_columns *columns) {
    map_release(&columns->tables);
    arena_release(&columns->arena);
}

/* ---- what is known ---- */

static struct ruled_table *table_of(const struct rule_columns *columns, oid_t oid) {
    return map_find_number(&columns->tables, oid);
}

static struct ruled_name *name_of(struct ruled_table *table, struct slice name) {
    for (uint32_t i = 0; table != NULL && i < table->count; i++)
        if (slice_equal(table->names[i].name, name))
            return &table->names[i];
    return NULL;
}

static struct ruled_table *make_table(struct rule_columns *columns, oid_t oid) {
    struct ruled_table *table = table_of(columns, oid);
    if (table != NULL)
        return table;
    table = arena_alloc_zero(&columns->arena, sizeof *table);
    if (table == NULL)
        return NULL;
    table->oid = oid;
    return map_put_number(&columns->tables, oid, table) ? table : NULL;
}

static bool make_room(struct rule_columns *columns, struct ruled_table *table) {
    if (table->count < table->capacity)
        return true;
    const uint32_t capacity = table->capacity * 2 + 8;
    struct ruled_name *names = arena_alloc(&columns->arena, capacity * sizeof *names);
    if (names == NULL)
        return false;
    if (table->count > 0)
        memcpy(names, table->names, table->count * sizeof *names);
    table->names = names;
    table->capacity = capacity;
    return true;
}

static bool note_name(struct rule_columns *columns, oid_t oid, struct slice name, uint32_t number) {
    struct ruled_table *table = make_table(columns, oid);
    if (table == NULL || !make_room(columns, table))
        return false;
    const char *copy = arena_copy(&columns->arena, name);
    if (copy == NULL)
        return false;
    table->names[table->count++] =
        (struct ruled_name){.name = {.data = copy, .size = name.size}, .number = number, .is_used = true};
    return true;
}

/* True: there were some. */
static bool forget_unused(struct ruled_table *table) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < table->count; i++)
        if (table->names[i].is_used)
            table->names[kept++] = table->names[i];
    const bool has_forgotten = kept < table->count;
    table->count = kept;
    return has_forgotten;
}

/* ---- its text ---- */

static int digit_at(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_name(const char *digits, struct arena *arena, struct slice *ret_name) {
    const size_t size = strlen(digits) / 2;
    char *name = arena_alloc(arena, size + 1);
    if (name == NULL || strlen(digits) % 2 != 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        const int high = digit_at(digits[2 * i]), low = digit_at(digits[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        name[i] = (char) (high * 16 + low);
    }
    *ret_name = (struct slice){.data = name, .size = size};
    return true;
}

static bool take_line(struct rule_columns *columns, const char *line) {
    enum { DIGITS_MAX = 512 };
    char digits[DIGITS_MAX];
    uint32_t oid = 0, number = 0;
    struct slice name;
    return sscanf(line, "column %" SCNu32 " %" SCNu32 " %511[0-9a-f]", &oid, &number, digits) == 3 &&
           take_name(digits, &columns->arena, &name) && note_name(columns, oid, name, number);
}

static bool take_text(struct rule_columns *columns, const char *text, struct error *err) {
    for (const char *line = text, *end = NULL; (end = strchr(line, '\n')) != NULL; line = end + 1)
        if (!take_line(columns, line)) {
            error_set(err, ERROR_CONFIG, "%s.%s.columns in the state directory is not what pgcdc wrote",
                      columns->config->pipeline, columns->config->name);
            return error_remedy(err, "put the file back, or remove it if no column of a rule has got another "
                                     "name since the pipeline ran last");
        }
    return true;
}

static bool read_memory(struct rule_columns *columns, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = MEMORY_BYTES_MAX};
    if (columns->is_read)
        return true;
    if (!columns->memory->read(columns->memory, &text, err))
        return false;
    columns->is_read = true;
    return text.size == 0 ||
           (buffer_text(&text) != NULL ? take_text(columns, text.data, err) : error_no_memory(err));
}

static void append_table(struct buffer *text, const struct ruled_table *table) {
    for (uint32_t i = 0; i < table->count; i++) {
        buffer_printf(text, "column %" PRIu32 " %" PRIu32 " ", table->oid, table->names[i].number);
        for (size_t byte = 0; byte < table->names[i].name.size; byte++)
            buffer_printf(text, "%02x", (unsigned char) table->names[i].name.data[byte]);
        buffer_append_u8(text, '\n');
    }
}

static bool write_memory(const struct rule_columns *columns, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = MEMORY_BYTES_MAX};
    for (size_t i = 0; i < map_slots(&columns->tables); i++) {
        const struct ruled_table *table = map_at(&columns->tables, i);
        if (table != NULL)
            append_table(&text, table);
    }
    if (!buffer_ok(&text))
        return error_no_memory(err);
    FAULT_POINT("mapping-columns-before");
    if (!columns->memory->write(columns->memory, buffer_slice(&text), err))
        return false;
    FAULT_POINT("mapping-columns-noted");
    return true;
}

/* A sink that follows the source's columns checks the rules itself, where it follows them. */
static bool is_checked_by_sink(const struct rule_columns *columns) {
    return columns->config->mapped->follows_columns;
}

/* ---- the start ---- */

static bool is_of_source(const struct column_rule *rule) {
    return rule->source == COLUMN_VALUE || rule->source == COLUMN_SQL;
}

/* Which columns expressions use is known only when the server has read them. */
static bool has_expression(const struct rule *rule) {
    bool has = rule->where != NULL;
    for (size_t i = 0; i < rule->column_count; i++)
        has = has || rule->columns[i].sql != NULL;
    return has;
}

static uint32_t find_live(const struct catalog_table *table, struct slice name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (!table->columns[i].is_dropped && slice_equal(table->columns[i].name, name))
            return i + 1;
    return 0;
}

/* A table that may be altered right now is noted with its first definition. */
static bool learn_rule(struct rule_columns *columns, const struct rule *rule,
                       const struct catalog_table *table, bool *ret_changed, struct error *err) {
    struct ruled_table *known = table_of(columns, table->oid);
    for (uint32_t i = 0; known != NULL && i < known->count; i++)
        known->names[i].is_used = has_expression(rule);
    for (size_t i = 0; i < rule->column_count; i++) {
        const struct slice name = slice_of(rule->columns[i].name);
        struct ruled_name *noted = name_of(table_of(columns, table->oid), name);
        const uint32_t number = find_live(table, name);
        if (!is_of_source(&rule->columns[i]))
            continue;
        if (noted != NULL)
            noted->is_used = true;
        else if (number != 0 && table->locked_by == 0) {
            if (!note_name(columns, table->oid, name, number))
                return error_no_memory(err);
            *ret_changed = true;
        }
    }
    known = table_of(columns, table->oid);
    if (known != NULL && forget_unused(known))
        *ret_changed = true;
    return true;
}

bool rule_columns_learn(struct rule_columns *columns, const struct catalog_tables *tables,
                        struct error *err) {
    bool changed = false;
    if (columns->memory == NULL || is_checked_by_sink(columns))
        return true;
    if (!read_memory(columns, err))
        return false;
    for (size_t i = 0; i < tables->count; i++) {
        const struct catalog_table *table = &tables->tables[i];
        const struct rule *rule = NULL;
        if (!rule_find(columns->config->mapping, columns->config->name, table->schema.data, table->table.data,
                       &rule, err))
            return false;
        if (rule != NULL && !learn_rule(columns, rule, table, &changed, err))
            return false;
    }
    return !changed || write_memory(columns, err);
}

/* ---- a definition ---- */

static bool is_used(const struct table_map *map, struct slice name, uint32_t index) {
    bool used = false;
    for (size_t i = 0; i < map->rule->column_count && !used; i++)
        used =
            is_of_source(&map->rule->columns[i]) && slice_equal(slice_of(map->rule->columns[i].name), name);
    for (uint32_t i = 0; map->expressions != NULL && i < map->expressions->input_count && !used; i++)
        used = map->expressions->inputs[i] == index;
    return used;
}

static bool refuse_other(const struct rule_columns *columns, const struct table_map *map, struct slice name,
                         struct error *err) {
    error_set(
        err, ERROR_DATA,
        "mapping: the rule for %s: \"%s\" of table %s is another column at the source now, and the rule "
        "is about its name",
        map->rule->match, name.data, map->source_name);
    return error_remedy(err,
                        "correct the rule to the columns as they are; if it is right for them as it is, "
                        "remove %s.%s.columns from the state directory; then start again",
                        columns->config->pipeline, columns->config->name);
}

static bool refuse_unclear(const struct table_map *map, struct slice name, struct error *err) {
    error_set(err, ERROR_DATA,
              "mapping: the rule for %s: whether \"%s\" of table %s is the column that the rule was made for "
              "cannot be known, because the table has changed again at the source",
              map->rule->match, name.data, map->source_name);
    return error_remedy(err, "leave the transaction out with `pgcdc skip`, or make the pipeline anew with "
                             "`pgcdc drop` and `pgcdc run`");
}

/* A copied row has its columns' numbers; for a streamed one the catalog was asked. */
static bool is_known(const struct relation *relation, uint32_t index) {
    return relation->catalog != NULL || relation->columns[index].number != 0;
}

static enum column_trace trace_column(const struct relation *relation, uint32_t index, uint32_t number) {
    if (relation->columns[index].number == 0)
        return column_trace(relation, index, number);
    return relation->columns[index].number == number ? COLUMN_IS : COLUMN_IS_NOT;
}

static uint32_t number_at(const struct relation *relation, uint32_t index) {
    return relation->columns[index].number != 0 ? relation->columns[index].number
                                                : column_trace_number(relation, index);
}

static bool check_column(struct rule_columns *columns, const struct table_map *map,
                         const struct relation *relation, uint32_t index, bool *ret_changed,
                         struct error *err) {
    const struct slice name = relation->columns[index].name;
    struct ruled_name *noted = name_of(table_of(columns, relation->oid), name);
    if (noted == NULL) {
        const uint32_t number = number_at(relation, index);
        if (number == 0)
            return refuse_unclear(map, name, err);
        *ret_changed = true;
        return note_name(columns, relation->oid, name, number) || error_no_memory(err);
    }
    noted->is_used = true;
    const enum column_trace trace = trace_column(relation, index, noted->number);
    if (trace == COLUMN_IS)
        return true;
    return trace == COLUMN_IS_NOT ? refuse_other(columns, map, name, err) : refuse_unclear(map, name, err);
}

static bool check_columns(struct rule_columns *columns, const struct table_map *map,
                          const struct relation *relation, struct error *err) {
    struct ruled_table *table = table_of(columns, relation->oid);
    bool changed = false;
    for (uint32_t i = 0; table != NULL && i < table->count; i++)
        table->names[i].is_used = false;
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (is_used(map, relation->columns[i].name, i) && is_known(relation, i) &&
            !check_column(columns, map, relation, i, &changed, err))
            return false;
    table = table_of(columns, relation->oid);
    if (table != NULL && forget_unused(table))
        changed = true;
    return !changed || write_memory(columns, err);
}

/* ---- a chunk ---- */

bool rule_columns_check_chunk(const struct sink_config *config, const struct sink_memory *memory,
                              const struct table_map *map, const struct table *mapped, struct error *err) {
    struct rule_columns columns AUTO(rule_columns_release);
    rule_columns_init(&columns, config);
    columns.memory = memory;
    if (memory == NULL || map->rule == NULL || is_checked_by_sink(&columns))
        return true;
    if (!read_memory(&columns, err))
        return false;
    for (uint32_t i = 0; i < mapped->ruled_count; i++) {
        const struct slice name = slice_of(mapped->ruled[i].name);
        const struct ruled_name *noted = name_of(table_of(&columns, mapped->oid), name);
        if (noted != NULL && noted->number != mapped->ruled[i].number)
            return refuse_other(&columns, map, name, err);
    }
    return true;
}

/* ---- a change ---- */

static bool is_locked(const struct relation *relation, const struct transaction *transaction) {
    return relation->catalog != NULL && relation->catalog->locked_by != 0 && transaction != NULL &&
           relation->catalog->locked_by == transaction->xid;
}

bool rule_columns_check(struct rule_columns *columns, const struct table_map *map,
                        const struct relation *relation, const struct change *change, struct error *err) {
    if (columns->memory == NULL || map->rule == NULL || is_checked_by_sink(columns))
        return true;
    if (is_locked(relation, change->transaction))
        return error_set(err, ERROR_RETRY,
                         "source: table %s is altered by a transaction that was sent and is not visible "
                         "there yet",
                         map->source_name);
    if (!read_memory(columns, err))
        return false;
    if (check_columns(columns, map, relation, err))
        return true;
    if (err->kind == ERROR_DATA && change->kind != CHANGE_READ && change->transaction != NULL)
        error_transaction(err, change->transaction->commit_lsn);
    return false;
}
