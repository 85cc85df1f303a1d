/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expressions.c - matches columns by name and chooses the text to compare.
 *
 * The same type on both sides:                   "a"::text
 * The source, if the target has another type T: case when "a" is not null then format('%s', "a")::T end::text
 * Both, if that type is user-defined:           case when "a" is not null then format('%s', "a") end
 *
 * The target's type parses a value that arrives in a column of another type: json in jsonb, char(4) in
 * char(8), numeric in float8. So the source's value is converted by that type too. Only format always calls
 * the type's output function; a cast to text strips char(n).
 */
#include "sinks/postgres/verify/expressions.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/catalog/type_shape.h"
#include "sinks/postgres/verify/log_rows.h"
#include "sinks/postgres/verify/narrowing_text.h"
#include "sinks/postgres/verify/text_hash.h"

#define SQL_BYTES_MAX (4 << 20)
#define NOTE_BYTES_MAX 1024
#define FIRST_USER_OID 16384

/* The fields of read_columns. */
enum { FIELD_NAME, FIELD_TYPE_OID, FIELD_TYPE_SQL, FIELD_GENERATED, FIELD_KIND };

/* The texts of one side. */
struct side_texts {
    struct text_list row;
    struct text_list key;
    struct text_list shown; /* the columns that identify a row */
};

struct preparation {
    const struct table *table; /* the sink's */
    struct compared_table *compared;
    struct arena *arena;
    bool has_hash;
    PGresult *columns; /* of the target's table */
    PGresult *shapes;  /* their types */
    bool narrows;
    struct buffer narrowed; /* a condition: the target's type changes the text of one of the row's values */
    const char **shown_names;
    const char **column_names;
    bool *in_key; /* of each of them */
    oid_t divider_type;
    struct side_texts source;
    struct side_texts target;
    struct buffer missing;
    struct buffer left_out;
    struct buffer ignored; /* names of columns that the target is to have none for */
    bool failed;           /* memory is exhausted */
};

static void preparation_release(struct preparation *preparation) {
    PQclear(preparation->columns);
    PQclear(preparation->shapes);
    buffer_release(&preparation->missing);
    buffer_release(&preparation->left_out);
    buffer_release(&preparation->ignored);
    buffer_release(&preparation->narrowed);
}

/* No row: the table does not exist. A table without columns has one row of NULLs. */
static bool read_columns(struct session *target, const struct table *table, PGresult **ret_columns,
                         struct error *err) {
    static const char SQL[] =
        "select a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod), a.attgenerated, c.relkind"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')";
    const char *parameters[] = {table->schema, table->name};
    return session_query(
        target, SQL, 2, parameters,
        &(const struct result_shape){"the query for columns", 0, RESULT_ROWS_ANY, FIELD_KIND + 1, 15u},
        ret_columns, err);
}

static void list_name(struct buffer *list, const char *label, const char *name) {
    if (list->size + strlen(name) + 64 < NOTE_BYTES_MAX)
        buffer_printf(list, "%s%s%s", list->size > 0 ? ", " : "", label, name);
}

/* ---- texts ---- */

enum text_kind { TEXT_CAST, TEXT_CONVERTED, TEXT_FORMATTED };

static const char *expressions_keep(struct preparation *preparation, struct buffer *text) {
    const char *kept = buffer_ok(text) ? arena_copy(preparation->arena, buffer_slice(text)) : NULL;
    if (kept == NULL)
        preparation->failed = true;
    return kept;
}

static const char *write_text(struct preparation *preparation, const char *value_sql, enum text_kind kind,
                              const char *type) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    switch (kind) {
    case TEXT_CAST:
        buffer_printf(&sql, "%s::text", value_sql);
        break;
    case TEXT_CONVERTED:
        buffer_printf(&sql, "case when %s is not null then format('%%s', %s)::%s end::text", value_sql,
                      value_sql, type);
        break;
    case TEXT_FORMATTED:
        buffer_printf(&sql, "case when %s is not null then format('%%s', %s) end", value_sql, value_sql);
    }
    return expressions_keep(preparation, &sql);
}

static const char *write_name(struct preparation *preparation, const char *column) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    identifier_append(&name, slice_of(column));
    return expressions_keep(preparation, &name);
}

static bool target_is_builtin(const struct preparation *preparation, int row) {
    return strtoul(PQgetvalue(preparation->columns, row, FIELD_TYPE_OID), NULL, 10) < FIRST_USER_OID;
}

static void add_text(struct side_texts *side, const char *text, bool is_key, bool is_shown) {
    side->row.items[side->row.count++] = text;
    if (is_key)
        side->key.items[side->key.count++] = text;
    if (is_shown)
        side->shown.items[side->shown.count++] = text;
}

/* The primary key's columns identify a row; without one those of the replica identity, without that all. */
static bool is_shown(const struct table *table, const struct table_column *column) {
    bool has_key = false, has_identity = false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        has_key |= table->columns[i].key_index > 0;
        has_identity |= table->columns[i].in_identity;
    }
    return has_key ? column->key_index > 0 : has_identity ? column->in_identity : true;
}

/* The texts of a column on both sides. Staged rows lie in columns of the target's types. */
static void add_texts(struct preparation *preparation, const struct compared_column *compared, int row) {
    const struct table_column *column = compared->column;
    const char *type = PQgetvalue(preparation->columns, row, FIELD_TYPE_SQL);
    const bool is_staged = preparation->compared->needs_rows;
    const bool same_type = is_staged || strcmp(compared->source_type_sql, type) == 0;
    const enum narrowing narrowing = strcmp(compared->source_type_sql, type) == 0 || compared->is_made
                                         ? NARROWS_NOTHING
                                         : narrowing_of(preparation->shapes, column);
    preparation->narrows |= narrowing != NARROWS_NOTHING;
    const enum text_kind source = same_type                             ? TEXT_CAST
                                  : target_is_builtin(preparation, row) ? TEXT_CONVERTED
                                                                        : TEXT_FORMATTED;
    const enum text_kind target = source == TEXT_FORMATTED ? TEXT_FORMATTED : TEXT_CAST;
    const char *target_sql = write_name(preparation, column->name);
    const char *source_sql = is_staged ? target_sql : compared->source_sql;
    if (target_sql == NULL)
        return;
    const bool is_key = column->key_index > 0, names_row = is_shown(preparation->table, column);
    const char *source_text = write_text(preparation, source_sql, source, type);
    add_text(&preparation->source, source_text, is_key, names_row);
    if (narrowing != NARROWS_NOTHING && source == TEXT_CONVERTED)
        narrowing_append(&preparation->narrowed, source_sql, narrowing, source_text);
    add_text(&preparation->target, write_text(preparation, target_sql, target, type), is_key, names_row);
}

static void add_column(struct preparation *preparation, const struct compared_column *compared, int row) {
    const struct table_column *column = compared->column;
    if (column == preparation->compared->divider)
        preparation->divider_type =
            (oid_t) strtoul(PQgetvalue(preparation->columns, row, FIELD_TYPE_OID), NULL, 10);
    preparation->column_names[preparation->source.row.count] = column->name;
    preparation->in_key[preparation->source.row.count] = column->key_index > 0;
    if (is_shown(preparation->table, column))
        preparation->shown_names[preparation->source.shown.count] = column->name;
    add_texts(preparation, compared, row);
}

/* What both generate is compared, unless the rows are staged, where the source does not send it. */
static void take_column(struct preparation *preparation, const struct compared_column *compared) {
    const struct table_column *column = compared->column;
    int row = result_find(preparation->columns, FIELD_NAME, column->name);
    bool is_generated_there = row >= 0 && PQgetvalue(preparation->columns, row, FIELD_GENERATED)[0] != '\0';
    if (column->left_to_sink)
        list_name(&preparation->ignored, "", column->name);
    else if (row < 0 && column->published)
        list_name(&preparation->missing, "column ", column->name);
    else if (row < 0 && preparation->compared->map.rule != NULL)
        return; /* a mapped table does not have it */
    else if (!column->published && !is_generated_there)
        list_name(&preparation->left_out, "", column->name);
    else if (column->published || !preparation->compared->needs_rows)
        add_column(preparation, compared, row);
}

/* How a constant looks in a type that a user has made only its input function knows. */
static void look_at_constants(struct preparation *preparation) {
    struct compared_table *compared = preparation->compared;
    for (size_t i = 0; i < compared->count; i++) {
        const int row = result_find(preparation->columns, FIELD_NAME, compared->columns[i].column->name);
        if (compared->columns[i].constant != NULL && row >= 0)
            compared->needs_rows |= !target_is_builtin(preparation, row);
    }
}

/* ---- expressions ---- */

static const char *write_hash(struct preparation *preparation, const struct text_list *texts) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (preparation->has_hash)
        text_hash_append(&sql, texts);
    else
        text_hash_append_md5(&sql, texts);
    return expressions_keep(preparation, &sql);
}

/*
 * The rows of a partitioned table are in its partitions; the children of any other table are tables of their
 * own.
 */
static void append_from(struct buffer *sql, char kind, const struct table *table) {
    buffer_append_text(sql, kind == 'r' ? "only " : "");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
}

static const char *write_source_from(struct preparation *preparation) {
    const struct table *table = preparation->compared->source;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    append_from(&sql, table->kind, table);
    if (table->row_filter_sql != NULL)
        buffer_printf(&sql, " where (%s)", table->row_filter_sql);
    return expressions_keep(preparation, &sql);
}

/* Which rows the source has, too, in a table of this mode; NULL: all. */
static const char *present_sql(const struct table *table) {
    return table->mode == ROWS_SOFT_DELETE ? "not " MODE_NAME_DELETED
           : table->mode == ROWS_HISTORY   ? MODE_NAME_CURRENT
                                           : NULL;
}

/* Of events the rows that remain. */
static const char *write_log(struct preparation *preparation, const char *owned_sql) {
    struct buffer from AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    append_from(&from, PQgetvalue(preparation->columns, 0, FIELD_KIND)[0], preparation->table);
    const struct log_rows log = {
        .from = buffer_text(&from),
        .owned_sql = owned_sql,
        .names = preparation->column_names,
        .in_key = preparation->in_key,
        .count = preparation->source.row.count,
        .is_keyed = preparation->compared->log_is_keyed,
    };
    if (log.from == NULL)
        preparation->failed = true;
    else
        log_rows_append(&sql, &log);
    return expressions_keep(preparation, &sql);
}

/* The other rows are of other sources, deleted, or former versions. */
static const char *write_target_from(struct preparation *preparation, bool *ret_filtered) {
    const char *owned_sql = preparation->compared->map.owned_sql;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (preparation->compared->is_log)
        return write_log(preparation, owned_sql);
    append_from(&sql, PQgetvalue(preparation->columns, 0, FIELD_KIND)[0], preparation->table);
    const char *present = present_sql(preparation->table);
    *ret_filtered = owned_sql != NULL || present != NULL;
    if (*ret_filtered)
        buffer_printf(&sql, " where (%s) and (%s)", owned_sql != NULL ? owned_sql : "true",
                      present != NULL ? present : "true");
    return expressions_keep(preparation, &sql);
}

static const char *write_shown(struct preparation *preparation, const struct text_list *texts) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    for (size_t i = 0; i < texts->count; i++)
        buffer_printf(&sql, "%sleft(%s, 1000)", i > 0 ? ", " : "",
                      texts->items[i] != NULL ? texts->items[i] : "");
    buffer_append_text(&sql, texts->count == 0 ? "null" : "");
    return expressions_keep(preparation, &sql);
}

static const char *write_columns(struct preparation *preparation, const struct text_list *texts) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    for (size_t i = 0; i < texts->count && texts->items[i] != NULL; i++) {
        const struct text_list column = {.items = &texts->items[i], .count = 1};
        buffer_append_text(&sql, i > 0 ? ", " : "");
        if (preparation->has_hash)
            text_hash_append(&sql, &column);
        else
            text_hash_append_md5(&sql, &column);
    }
    buffer_append_text(&sql, texts->count == 0 ? "null" : "");
    return expressions_keep(preparation, &sql);
}

static struct expression write_expression(struct preparation *preparation, const struct side_texts *texts,
                                          const char *from) {
    return (struct expression){
        .from = from,
        .columns = write_columns(preparation, &texts->row),
        .row = write_hash(preparation, &texts->row),
        .key = write_hash(preparation, texts->key.count > 0 ? &texts->key : &texts->row),
        .shown = write_shown(preparation, &texts->shown),
    };
}

static const char *write_count(struct preparation *preparation, const char *from) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    const char *condition = buffer_text(&preparation->narrowed);
    if (condition == NULL || from == NULL)
        preparation->failed = true;
    else
        buffer_printf(&sql, "select count(*) filter (where %s) from %s", condition, from);
    return expressions_keep(preparation, &sql);
}

/* The rows of the source that are staged. */
static const char *write_select(struct preparation *preparation, const char *from) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    const struct table *table = preparation->compared->source;
    const char *before = "select ";
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table_column_is_copied(&table->columns[i]))
            continue;
        buffer_append_text(&sql, before);
        identifier_append(&sql, slice_of(table->columns[i].name));
        before = ", ";
    }
    buffer_printf(&sql, "%s from %s", before[0] == ',' ? "" : "select", from != NULL ? from : "");
    return expressions_keep(preparation, &sql);
}

/* The columns of the temporary table, in the order in which the mapping writes them. */
static const char *write_stage_columns(struct preparation *preparation) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    const struct table *table = preparation->table;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table_column_is_copied(&table->columns[i]))
            continue;
        const int row = result_find(preparation->columns, FIELD_NAME, table->columns[i].name);
        buffer_append_text(&sql, sql.size > 0 ? ", " : "");
        identifier_append(&sql, slice_of(table->columns[i].name));
        buffer_printf(&sql, " %s", PQgetvalue(preparation->columns, row, FIELD_TYPE_SQL));
    }
    return expressions_keep(preparation, &sql);
}

static void write_source(struct preparation *preparation, struct expressions *expressions) {
    const struct table *table = preparation->compared->source;
    const char *from = write_source_from(preparation);
    expressions->source_from = from;
    if (!preparation->compared->needs_rows) {
        expressions->source = write_expression(preparation, &preparation->source, from);
        expressions->source.is_filtered = table->row_filter_sql != NULL;
        if (preparation->narrowed.size > 0)
            expressions->count_narrowed = write_count(preparation, from);
        return;
    }
    expressions->source = write_expression(preparation, &preparation->source, STAGE_TABLE);
    expressions->is_staged = true;
    expressions->staged = (struct staged_table){.compared = preparation->compared,
                                                .columns_sql = write_stage_columns(preparation),
                                                .select_sql = write_select(preparation, from),
                                                .is_filtered = table->row_filter_sql != NULL};
}

static void write_expressions(struct preparation *preparation, struct expressions *expressions) {
    const struct compared_table *compared = preparation->compared;
    bool is_filtered = false;
    const char *target_from = write_target_from(preparation, &is_filtered);
    write_source(preparation, expressions);
    expressions->target = write_expression(preparation, &preparation->target, target_from);
    expressions->target.is_filtered = is_filtered;
    if (compared->is_log && !compared->log_is_keyed)
        expressions->target.weight = LOG_ROWS_WEIGHT;
    if (compared->divider != NULL)
        expressions->target_divider = compared->divider->name;
    expressions->table.counts_narrowed = expressions->count_narrowed != NULL;
    if (preparation->ignored.size > 0)
        expressions->table.ignored = expressions_keep(preparation, &preparation->ignored);
    if (preparation->left_out.size == 0)
        return;
    buffer_append_text(&preparation->left_out, ": generated at the source only, not compared");
    expressions->table.left_out = expressions_keep(preparation, &preparation->left_out);
}

/* ---- the table ---- */

static bool make_room(struct text_list *texts, struct arena *arena, size_t count) {
    texts->items = arena_alloc_zero(arena, (count + 1) * sizeof *texts->items);
    return texts->items != NULL;
}

static bool make_side(struct side_texts *side, struct arena *arena, size_t count) {
    return make_room(&side->row, arena, count) && make_room(&side->key, arena, count) &&
           make_room(&side->shown, arena, count);
}

static void describe_table(const struct preparation *preparation, struct expressions *expressions) {
    const struct compared_table *compared = preparation->compared;
    struct comparison_table *table = &expressions->table;
    table->sink_table = compared->map.rule != NULL ? &compared->table : NULL;
    table->about_changes = compared->about_changes;
    table->narrows = preparation->narrows;
    table->shown_names = preparation->shown_names;
    table->shown_count = preparation->source.shown.count;
    table->column_names = preparation->column_names;
    table->column_count = preparation->source.row.count;
    table->divider_type = preparation->divider_type;
}

static bool match_columns(struct preparation *preparation, struct expressions *expressions) {
    const struct compared_table *compared = preparation->compared;
    struct text_list names = {0}, columns = {0};
    if (!make_room(&names, preparation->arena, compared->count) ||
        !make_room(&columns, preparation->arena, compared->count) ||
        !make_side(&preparation->source, preparation->arena, compared->count) ||
        !make_side(&preparation->target, preparation->arena, compared->count))
        return false;
    preparation->shown_names = names.items;
    preparation->column_names = columns.items;
    preparation->in_key = arena_alloc_zero(preparation->arena, compared->count + 1);
    if (preparation->in_key == NULL)
        return false;
    look_at_constants(preparation);
    for (size_t i = 0; i < compared->count; i++)
        take_column(preparation, &compared->columns[i]);
    if (preparation->missing.size > 0)
        expressions->table.missing = expressions_keep(preparation, &preparation->missing);
    else
        write_expressions(preparation, expressions);
    describe_table(preparation, expressions);
    return !preparation->failed;
}

static void list_definition(struct expressions *expressions, const struct target_comparison *comparison) {
    const struct expression *source = &expressions->source, *target = &expressions->target;
    const char *const texts[EXPRESSIONS_TEXTS] = {
        expressions->source_from,
        source->row,
        source->key,
        source->columns,
        target->from,
        target->row,
        target->key,
        target->columns,
        expressions->count_narrowed,
        expressions->table.left_out,
        comparison->identity,
        expressions->compared.steps,
        expressions->staged.columns_sql,
    };
    memcpy(expressions->definition, texts, sizeof texts);
    expressions->table.definition = expressions->definition;
    expressions->table.definition_count = EXPRESSIONS_TEXTS;
}

bool expressions_prepare(struct expressions *expressions, const struct table *table,
                         struct target_comparison *comparison, struct arena *arena, struct error *err) {
    struct compared_table *compared = &expressions->compared;
    *expressions = (struct expressions){.table = {.table = table}};
    if (!compared_table_make(compared, comparison->config, table, &comparison->target, arena, err))
        return false;
    struct preparation preparation AUTO(preparation_release) = {
        .table = &compared->table,
        .compared = compared,
        .arena = arena,
        .has_hash = comparison->has_hash,
        .narrowed = {.bytes_max = SQL_BYTES_MAX},
        .missing = {.bytes_max = NOTE_BYTES_MAX},
        .left_out = {.bytes_max = 2 * NOTE_BYTES_MAX},
        .ignored = {.bytes_max = 2 * NOTE_BYTES_MAX},
    };
    if (!read_columns(&comparison->target, &compared->table, &preparation.columns, err) ||
        !type_shapes_read_table(&comparison->target, compared->table.schema, compared->table.name,
                                &preparation.shapes, err))
        return false;
    if (PQntuples(preparation.columns) == 0) {
        expressions->table.missing = "the table";
        describe_table(&preparation, expressions);
        return true;
    }
    if (!match_columns(&preparation, expressions))
        return error_no_memory(err);
    list_definition(expressions, comparison);
    return true;
}
