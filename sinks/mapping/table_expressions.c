/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_expressions.c - from the rule's texts to one query.
 *
 *     select row, passes, case when passes and wanted then (sql) end, ...
 *     from (select *, case when wanted then (where) is true else true end as passes
 *           from (the arrays as rows, each text cast to its column's type) offset 0)
 *
 * The offset keeps the inner part whole: a text is cast once, and a row that does not pass is not computed.
 */
#include "sinks/mapping/table_expressions.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"

enum { QUERY_BYTES_MAX = 4 << 20, NAMES_BYTES = 1024, SCRATCH_BLOCK_BYTES = 16384 };

/* A table with its columns, whatever it was read from. */
struct subject {
    struct evaluator *evaluator;
    struct arena *arena; /* the evaluator's */
    struct table_map *map;
    struct expression_column *columns;
    uint32_t count;
    bool has_whole_old;
    bool has_old; /* updates and deletes can occur */
    struct table_expressions *made;
};

static bool has_any(const struct table_map *map) {
    bool has = map->rule != NULL && map->rule->where != NULL;
    for (uint32_t i = 0; i < map->column_count; i++)
        has = has || map->columns[i].expression != 0;
    return has;
}

/* ---- proof ---- */

static bool name_expression(const struct subject *subject, const char *column, struct error *err) {
    const struct table_map *map = subject->map;
    if (column == NULL)
        return error_wrap(err, "mapping: the rule for %s: where, for table %s", map->rule->match,
                          map->source_name);
    return error_wrap(err, "mapping: the rule for %s: sql of column %s, for table %s", map->rule->match,
                      column, map->source_name);
}

static bool prove(const struct subject *subject, const char *column, struct expression *expression,
                  struct error *err) {
    return expression_prove(&subject->evaluator->session, subject->columns, subject->count, subject->arena,
                            expression, err) ||
           name_expression(subject, column, err);
}

static bool refuse_identity(const struct subject *subject, const char *column, const char *input,
                            struct error *err) {
    error_set(err, ERROR_CONFIG,
              "column %s is not in old rows, because it is no part of the replica identity, and %s", input,
              column == NULL ? "a condition needs it there" : "the key of an old row is computed from it");
    error_remedy(err, "at the source: alter table %s replica identity full", subject->map->source_name);
    return name_expression(subject, column, err);
}

/* Are the columns that it uses known of each old row? */
static bool check_old_rows(const struct subject *subject, const char *column,
                           const struct expression *expression, struct error *err) {
    for (uint32_t i = 0; i < subject->count; i++)
        if (expression->uses[i] && subject->has_old && !subject->has_whole_old &&
            !subject->columns[i].is_identity)
            return refuse_identity(subject, column, subject->columns[i].name, err);
    return true;
}

static bool prove_where(struct subject *subject, struct error *err) {
    struct expression *where = arena_alloc_zero(subject->arena, sizeof *where);
    if (where == NULL)
        return error_no_memory(err);
    *where = (struct expression){.sql = subject->map->rule->where, .is_condition = true};
    subject->made->where = where;
    return prove(subject, NULL, where, err) && check_old_rows(subject, NULL, where, err);
}

static bool prove_column(const struct subject *subject, const struct mapped_column *column,
                         struct expression *expression, struct error *err) {
    const bool is_of_key =
        column->from != COLUMN_ADDED && subject->columns[column->from].is_identity && !subject->has_whole_old;
    *expression = (struct expression){.sql = column->rule->sql};
    return prove(subject, column->rule->name, expression, err) &&
           (!is_of_key || check_old_rows(subject, column->rule->name, expression, err));
}

static bool prove_columns(struct subject *subject, struct error *err) {
    const struct table_map *map = subject->map;
    struct expression *items = arena_alloc_zero(subject->arena, (map->column_count + 1) * sizeof *items);
    if (items == NULL)
        return error_no_memory(err);
    subject->made->items = items;
    for (uint32_t i = 0; i < map->column_count; i++) {
        if (map->columns[i].expression == 0)
            continue;
        if (map->columns[i].expression > EXPRESSIONS_MAX)
            return error_set(err, ERROR_CONFIG,
                             "mapping: the rule for %s has sql for more columns than the limit, %d",
                             map->rule->match, EXPRESSIONS_MAX);
        if (!prove_column(subject, &map->columns[i], &items[map->columns[i].expression - 1], err))
            return false;
        subject->made->count++;
    }
    return true;
}

/* ---- the query ---- */

static bool find_inputs(const struct subject *subject, struct error *err) {
    struct table_expressions *made = subject->made;
    uint32_t *inputs = arena_alloc(subject->arena, (subject->count + 1) * sizeof *inputs);
    if (inputs == NULL)
        return error_no_memory(err);
    made->inputs = inputs;
    for (uint32_t i = 0; i < subject->count; i++) {
        bool is_used = made->where != NULL && made->where->uses[i];
        for (size_t k = 0; k < made->count; k++)
            is_used = is_used || made->items[k].uses[i];
        if (is_used)
            inputs[made->input_count++] = i;
    }
    return true;
}

static void append_casts(const struct subject *subject, struct buffer *sql) {
    const struct table_expressions *made = subject->made;
    buffer_append_text(sql, "(select r.i as \"pgcdc row\", r.w as \"pgcdc wanted\"");
    for (uint32_t k = 0; k < made->input_count; k++) {
        const struct expression_column *column = &subject->columns[made->inputs[k]];
        buffer_printf(sql, ", r.c%u::", k);
        identifier_append_qualified(sql, slice_of(column->type_schema), slice_of(column->type_name));
        buffer_append_text(sql, " as ");
        identifier_append(sql, slice_of(column->name));
    }
    buffer_append_text(sql, " from unnest($1::bigint[]");
    for (uint32_t k = 0; k < made->input_count; k++)
        buffer_printf(sql, ", $%u::text[]", k + 2);
    buffer_append_text(sql, ") with ordinality r (w");
    for (uint32_t k = 0; k < made->input_count; k++)
        buffer_printf(sql, ", c%u", k);
    buffer_append_text(sql, ", i)) c");
}

static bool write_query(const struct subject *subject, struct error *err) {
    struct table_expressions *made = subject->made;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = QUERY_BYTES_MAX};
    buffer_append_text(&sql, "select \"pgcdc row\", \"pgcdc passes\"");
    for (size_t k = 0; k < made->count; k++) {
        buffer_printf(&sql, ", case when \"pgcdc passes\" and (\"pgcdc wanted\" & %llu::bigint) <> 0 then ",
                      (unsigned long long) EXPRESSION_WANTED(k + 1));
        expression_append(&sql, &made->items[k]);
        buffer_append_text(&sql, " end");
    }
    buffer_append_text(&sql, " from (select *, ");
    if (made->where != NULL) {
        buffer_append_text(&sql, "case when (\"pgcdc wanted\" & 1::bigint) = 0 then true else ");
        expression_append(&sql, made->where);
        buffer_append_text(&sql, " end");
    } else {
        buffer_append_text(&sql, "true");
    }
    buffer_append_text(&sql, " as \"pgcdc passes\" from ");
    append_casts(subject, &sql);
    buffer_append_text(&sql, " offset 0) t");
    made->query = buffer_ok(&sql) ? arena_copy(subject->arena, buffer_slice(&sql)) : NULL;
    return made->query != NULL || error_no_memory(err);
}

static bool name_key(const struct subject *subject, struct error *err) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = NAMES_BYTES};
    for (uint32_t i = 0; i < subject->count; i++)
        if (subject->columns[i].is_identity && !subject->has_whole_old)
            buffer_printf(&names, "%s%s", names.size > 0 ? ", " : "", subject->columns[i].name);
    subject->made->key_names =
        arena_copy(subject->arena, buffer_ok(&names) ? buffer_slice(&names) : (struct slice){0});
    return subject->made->key_names != NULL || error_no_memory(err);
}

/* ---- once ---- */

/* A relation of a copy is a new one in each call. */
static bool sign(const struct subject *subject, struct buffer *text, struct error *err) {
    buffer_printf(text, "%p %d %d %s", (const void *) subject->map->rule, subject->has_whole_old,
                  subject->has_old, subject->map->source_name);
    for (uint32_t i = 0; i < subject->count; i++) {
        const struct expression_column *column = &subject->columns[i];
        buffer_printf(text, "\n%d%d", column->is_identity, column->is_sent);
        identifier_append(text, slice_of(column->name));
        identifier_append_qualified(text, slice_of(column->type_schema), slice_of(column->type_name));
    }
    return buffer_ok(text) || error_no_memory(err);
}

/* From the caller's memory to the evaluator's. */
static bool keep_columns(struct subject *subject, struct error *err) {
    struct arena *arena = subject->arena;
    struct expression_column *kept = arena_alloc(arena, (subject->count + 1) * sizeof *kept);
    if (kept == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < subject->count; i++) {
        kept[i] = subject->columns[i];
        kept[i].name = arena_copy(arena, slice_of(kept[i].name));
        kept[i].type_schema = arena_copy(arena, slice_of(kept[i].type_schema));
        kept[i].type_name = arena_copy(arena, slice_of(kept[i].type_name));
        if (kept[i].name == NULL || kept[i].type_schema == NULL || kept[i].type_name == NULL)
            return error_no_memory(err);
    }
    subject->columns = kept;
    return true;
}

static bool prove_all(struct subject *subject, struct slice signature, struct error *err) {
    struct evaluator *evaluator = subject->evaluator;
    struct table_expressions *made = arena_alloc_zero(subject->arena, sizeof *made);
    if (made == NULL)
        return error_no_memory(err);
    subject->made = made;
    made->signature = arena_copy(subject->arena, signature);
    if (made->signature == NULL)
        return error_no_memory(err);
    if (!keep_columns(subject, err) ||
        !expression_find_types(&evaluator->session, subject->columns, subject->count, err) ||
        (subject->map->rule->where != NULL && !prove_where(subject, err)) || !prove_columns(subject, err) ||
        !find_inputs(subject, err) || !write_query(subject, err) || !name_key(subject, err))
        return false;
    made->next = evaluator->proven;
    evaluator->proven = made;
    return true;
}

static bool make_expressions(struct subject *subject, struct error *err) {
    struct evaluator *evaluator = subject->evaluator;
    struct buffer signature AUTO(buffer_release) = {.bytes_max = QUERY_BYTES_MAX};
    if (!evaluator_open(evaluator, err) || !sign(subject, &signature, err))
        return false;
    struct table_expressions *made = evaluator->proven;
    while (made != NULL && !slice_equal(slice_of(made->signature), buffer_slice(&signature)))
        made = made->next;
    if (made == NULL && !prove_all(subject, buffer_slice(&signature), err))
        return false;
    subject->map->expressions = made != NULL ? made : subject->made;
    return true;
}

/* The caller fills them; make_expressions keeps what it needs. */
static bool begin_columns(struct subject *subject, struct arena *scratch, struct error *err) {
    arena_init(scratch, SCRATCH_BLOCK_BYTES, QUERY_BYTES_MAX);
    subject->columns = arena_alloc(scratch, (subject->count + 1) * sizeof *subject->columns);
    return subject->columns != NULL || error_no_memory(err);
}

/* ---- a relation ---- */

static bool refuse_unclear(const struct subject *subject, struct error *err) {
    error_set(err, ERROR_CONFIG,
              "mapping: the rule for %s: where, for table %s: its partitions do not log the same key, so old "
              "rows are not known",
              subject->map->rule->match, subject->map->source_name);
    return error_remedy(err, "give all partitions the same replica identity, or take where out of the rule");
}

/* Steps make text of what was computed, and a user's type has another number at the source. */
static void type_column(const struct expression *expression, const struct column_rule *rule,
                        struct column *column) {
    if (rule->step_count > 0 || strcmp(expression->type_schema, "pg_catalog") != 0)
        return;
    column->type_oid = expression->type_oid;
    column->type_modifier = -1;
    column->type_schema = slice_of(expression->type_schema);
    column->type_name = slice_of(expression->type_name);
}

bool table_expressions_of_relation(struct evaluator *evaluator, const struct relation *relation,
                                   struct table_map *map, const struct relation *mapped, struct error *err) {
    struct subject subject = {.evaluator = evaluator,
                              .arena = &evaluator->proofs,
                              .map = map,
                              .count = relation->column_count,
                              .has_whole_old = relation->identity == REPLICA_IDENTITY_FULL,
                              .has_old = relation->key_count > 0};
    if (!has_any(map))
        return true;
    struct arena scratch AUTO(arena_release);
    if (!begin_columns(&subject, &scratch, err))
        return false;
    for (uint32_t i = 0; i < subject.count; i++)
        subject.columns[i] = (struct expression_column){.name = relation->columns[i].name.data,
                                                        .type_schema = relation->columns[i].type_schema.data,
                                                        .type_name = relation->columns[i].type_name.data,
                                                        .is_identity = relation->columns[i].is_key,
                                                        .is_sent = true};
    if (map->rule->where != NULL && (relation->is_unclear || relation->needs_old) && !subject.has_whole_old)
        return refuse_unclear(&subject, err);
    if (!make_expressions(&subject, err))
        return false;
    for (uint32_t i = 0; i < map->column_count; i++)
        if (map->columns[i].expression != 0)
            type_column(&map->expressions->items[map->columns[i].expression - 1], map->columns[i].rule,
                        &mapped->columns[i]);
    return true;
}

/* ---- a table ---- */

static void type_table_column(const struct expression *expression, const struct column_rule *rule,
                              struct table_column *column) {
    if (rule->step_count > 0 || rule->type != NULL)
        return;
    column->type_sql = expression->type_sql;
    if (strcmp(expression->type_schema, "pg_catalog") != 0)
        return;
    column->type_oid = expression->type_oid;
    column->type_schema = expression->type_schema;
    column->type_name = expression->type_name;
}

bool table_expressions_of_table(struct evaluator *evaluator, const struct table *table, struct table_map *map,
                                const struct table *mapped, struct error *err) {
    struct subject subject = {.evaluator = evaluator,
                              .arena = &evaluator->proofs,
                              .map = map,
                              .count = table->column_count,
                              .has_whole_old = table->identity == REPLICA_IDENTITY_FULL};
    if (!has_any(map))
        return true;
    struct arena scratch AUTO(arena_release);
    if (!begin_columns(&subject, &scratch, err))
        return false;
    for (uint32_t i = 0; i < subject.count; i++) {
        const struct table_column *column = &table->columns[i];
        subject.columns[i] = (struct expression_column){.name = column->name,
                                                        .type_schema = column->type_schema,
                                                        .type_name = column->type_name,
                                                        .is_identity = column->in_identity,
                                                        .is_sent = column->published};
        subject.has_old = subject.has_old || column->in_identity;
    }
    if (!make_expressions(&subject, err))
        return false;
    for (uint32_t i = 0; i < map->column_count; i++)
        if (map->columns[i].expression != 0)
            type_table_column(&map->expressions->items[map->columns[i].expression - 1], map->columns[i].rule,
                              &mapped->columns[i]);
    return true;
}
