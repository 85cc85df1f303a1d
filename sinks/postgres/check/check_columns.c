/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_columns.c - columns that the source has and the target's table lacks: added at the source, or
 * renamed.
 *
 * No change carries the rows that existed before an ADD COLUMN, so the target must fill the column as the
 * source did. The source's value is in pg_attribute.attmissingval if it was a constant and the table has not
 * been rewritten since. Otherwise, if there is a default, only a new copy has the values of those rows.
 *
 * A rename changes no row. The evidence for a rename is a column of the target that the source lacks, of the
 * same type and after the same column, with no dropped attribute number at the source in between.
 *
 * Before the initial copy none of this matters: the copy includes all rows.
 *
 * Under a mapping the two sides have different names for a column, and a rule makes values of earlier rows.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/start_over.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/check/check.h"
#include "sinks/postgres/schema/ignored_columns.h"

#define TEXT_BYTES_MAX (1u << 20)

/* $1: the table's OID. The leaves of a partitioned table hold the values; all leaves must agree. */
static const char ADDED[] =
    "select a.attname, a.attnum, a.attnotnull,"
    " a.atthasdef or a.attidentity <> '' or t.typdefaultbin is not null,"
    " quote_literal(case when bool_and(l.atthasmissing) and count(distinct l.attmissingval::text) = 1"
    "   and min(cardinality(l.attmissingval::text::text[])) = 1 then min((l.attmissingval::text::text[])[1]) "
    "end)"
    " from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid"
    " cross join lateral (select c.oid where c.relkind <> 'p' union all"
    "   select p.relid from pg_partition_tree(c.oid) p where p.isleaf and c.relkind = 'p') leaf (oid)"
    " join pg_attribute l on l.attrelid = leaf.oid and l.attname = a.attname"
    " where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped"
    " group by a.attname, a.attnum, a.attnotnull, a.atthasdef, a.attidentity, t.typdefaultbin order by "
    "a.attnum";

enum { ADDED_NAME, ADDED_NUMBER, ADDED_NOT_NULL, ADDED_HAS_DEFAULT, ADDED_VALUE };

struct column_comparison {
    const struct target_check *target;
    const struct table *table;
    const char *name;        /* quoted */
    const PGresult *columns; /* the target's columns in order: name, type, generated */
    const PGresult *numbers; /* ADDED */
    bool same_order;         /* the common columns have the same order on both sides */
    struct buffer statement; /* alter table ... add column ..., */
    struct buffer added;     /* the names of these columns */
    struct buffer copied;    /* the columns that only a copy can fill */
    struct buffer followed;  /* those that the sink adds by itself */
    struct buffer left_out;  /* those that the target is to have none for */
    const PGresult *known; /* the numbers of the source's columns that the sink knows; NULL: others stop it */
    enum ddl_action action;  /* what it does with others */
    const PGresult *ignored; /* those of columns that are left out already */
};

static void column_comparison_release(struct column_comparison *comparison) {
    buffer_release(&comparison->statement);
    buffer_release(&comparison->added);
    buffer_release(&comparison->left_out);
    buffer_release(&comparison->copied);
    buffer_release(&comparison->followed);
}

static int number_at(const struct column_comparison *comparison, int row) {
    return row < 0 ? 0 : (int) strtol(PQgetvalue(comparison->numbers, row, ADDED_NUMBER), NULL, 10);
}

/* Of ADDED; -1: the source has no such column. */
static int row_of(const struct column_comparison *comparison, const struct table_column *column) {
    const char *name = column->source_name != NULL ? column->source_name : column->name;
    return column->is_added ? -1 : result_find(comparison->numbers, ADDED_NAME, name);
}

/* name: the target's. 0: the source has no such column. */
static int number_of(const struct column_comparison *comparison, const char *name) {
    const struct table_column *column = table_find_column(comparison->table, name);
    if (column == NULL && comparison->table->mapped_from != NULL)
        return 0;
    return number_at(comparison, column != NULL ? row_of(comparison, column)
                                                : result_find(comparison->numbers, ADDED_NAME, name));
}

static bool is_same_order(const struct column_comparison *comparison) {
    int last = 0;
    for (int row = 0; row < PQntuples(comparison->columns); row++) {
        int number = number_of(comparison, PQgetvalue(comparison->columns, row, 0));
        if (number != 0 && number < last)
            return false;
        last = number != 0 ? number : last;
    }
    return true;
}

/* The number of the last common column before this one; 0: none. */
static int number_before(const struct column_comparison *comparison, int number) {
    int before = 0;
    for (int row = 0; row < PQntuples(comparison->columns); row++) {
        const int other = number_of(comparison, PQgetvalue(comparison->columns, row, 0));
        if (other < number && other > before)
            before = other;
    }
    return before;
}

static int number_before_extra(const struct column_comparison *comparison, int extra) {
    int before = 0;
    for (int row = 0; row < extra; row++) {
        int number = number_of(comparison, PQgetvalue(comparison->columns, row, 0));
        before = number != 0 ? number : before;
    }
    return before;
}

enum origin { ORIGIN_ADDED, ORIGIN_RENAMED, ORIGIN_UNCERTAIN };

static enum origin find_origin(const struct column_comparison *comparison, const struct table_column *column,
                               int *ret_extra) {
    int number = number_at(comparison, row_of(comparison, column)),
        before = number_before(comparison, number);
    enum origin origin = ORIGIN_ADDED;
    if (comparison->target->check->expects_copy || column->is_added)
        return origin;
    for (int row = 0; row < PQntuples(comparison->columns); row++) {
        const char *name = PQgetvalue(comparison->columns, row, 0);
        if (number_of(comparison, name) != 0 || table_find_column(comparison->table, name) != NULL ||
            result_is_true(comparison->columns, row, 2) ||
            strcmp(PQgetvalue(comparison->columns, row, 1), column->type_sql) != 0)
            continue;
        bool is_there = number_before_extra(comparison, row) == before;
        if (comparison->same_order && !is_there)
            continue;
        bool is_certain = comparison->same_order && origin == ORIGIN_ADDED && number == before + 1;
        origin = is_certain ? ORIGIN_RENAMED : ORIGIN_UNCERTAIN;
        *ret_extra = row;
    }
    return origin;
}

/* The value that a rule gives to all rows, those from before included. */
static void append_constant(struct buffer *text, const struct table_column *column) {
    buffer_append_text(text, " default ");
    literal_append(text, slice_of(column->constant));
    if (column->not_null)
        buffer_append_text(text, " not null");
}

/* "add column c type default 'value' not null" */
static void append_add(const struct column_comparison *comparison, struct buffer *text,
                       const struct table_column *column) {
    int row = row_of(comparison, column);
    buffer_append_text(text, "add column ");
    identifier_append(text, slice_of(column->name));
    buffer_printf(text, " %s", column->type_sql);
    if (column->collation_sql != NULL)
        buffer_printf(text, " collate %s", column->collation_sql);
    if (column->generated_sql != NULL)
        buffer_printf(text, " generated always as (%s) stored", column->generated_sql);
    if (column->constant != NULL)
        append_constant(text, column);
    if (column->generated_sql != NULL || column->is_made || row < 0 ||
        PQgetisnull(comparison->numbers, row, ADDED_VALUE))
        return;
    buffer_printf(text, " default %s", PQgetvalue(comparison->numbers, row, ADDED_VALUE));
    if (result_is_true(comparison->numbers, row, ADDED_NOT_NULL))
        buffer_append_text(text, " not null");
}

/* Do earlier rows have a value that is unknown here? */
static bool needs_copy(const struct column_comparison *comparison, const struct table_column *column) {
    int row = row_of(comparison, column);
    if (comparison->target->check->expects_copy || column->generated != '\0')
        return false;
    if (column->is_added || column->fills_null)
        return column->is_made;
    if (column->is_made && row >= 0 && !PQgetisnull(comparison->numbers, row, ADDED_VALUE))
        return true;
    return row < 0 || (PQgetisnull(comparison->numbers, row, ADDED_VALUE) &&
                       result_is_true(comparison->numbers, row, ADDED_HAS_DEFAULT));
}

/* Has the source got it since the sink saw the table, and no rule says what becomes of it? */
static bool is_followed(const struct column_comparison *comparison, const struct table_column *column) {
    const int row = row_of(comparison, column);
    return comparison->known != NULL && row >= 0 && column->source_name == NULL &&
           result_find(comparison->known, 0, PQgetvalue(comparison->numbers, row, ADDED_NUMBER)) < 0;
}

static struct buffer *list_of(struct column_comparison *comparison, const struct table_column *column) {
    if (needs_copy(comparison, column))
        return &comparison->copied;
    return is_followed(comparison, column) ? &comparison->followed : &comparison->added;
}

static void take_added(struct column_comparison *comparison, const struct table_column *column) {
    struct buffer *names = list_of(comparison, column);
    buffer_append_text(names, names->size > 0 ? ", " : "");
    identifier_append(names, slice_of(column->name));
    if (names != &comparison->added)
        return;
    buffer_append_text(&comparison->statement, comparison->statement.size > 0 ? ", " : "");
    append_add(comparison, &comparison->statement, column);
}

/*
 * A rename is only inferred, so the fix shows both possibilities, and neither as a statement that psql would
 * run.
 */
static bool add_renamed(const struct column_comparison *comparison, const struct table_column *column,
                        int extra, enum origin origin, struct error *err) {
    const struct sink_check *check = comparison->target->check;
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const char *name = target_check_name(comparison->target, NULL, column->name);
    const char *old = target_check_name(comparison->target, NULL, PQgetvalue(comparison->columns, extra, 0));
    const bool is_likely = origin == ORIGIN_RENAMED;
    buffer_printf(&text, "alter table %s ", comparison->name);
    append_add(comparison, &text, column);
    buffer_append_text(&text, ";");
    if (buffer_text(&text) == NULL)
        return error_no_memory(err);
    sink_check_add(check, SINK_PROBLEM, is_likely ? "target_column_renamed" : "target_column_uncertain",
                   "table %s has no column %s; it has %s%s, of the same type, which the source lacks: %s",
                   comparison->name, name, is_likely ? "in its place " : "", old,
                   is_likely ? "it was most likely renamed, but this cannot be known"
                             : "whether it was renamed or another column was added cannot be known");
    sink_check_fix(
        check, "if it was renamed at the source: alter table %s rename column %s to %s;\nif it was added: %s",
        comparison->name, old, name, needs_copy(comparison, column) ? START_OVER : text.data);
    sink_check_object(check, comparison->name);
    sink_check_gap(check, comparison->table, column->name);
    return true;
}

static bool lacks_column(const struct column_comparison *comparison, const struct table_column *column) {
    return table_column_is_copied(column) && result_find(comparison->columns, 0, column->name) < 0;
}

/* By add_column: ignore, from the first row that has it on. */
static bool is_left_out(const struct column_comparison *comparison, const struct table_column *column) {
    return ignored_columns_has(comparison->ignored, column) ||
           (comparison->action == DDL_IGNORE && lacks_column(comparison, column) &&
            is_followed(comparison, column));
}

static bool is_missing_there(const struct column_comparison *comparison, const struct table_column *column) {
    return lacks_column(comparison, column) && !is_left_out(comparison, column);
}

static void report_left_out(const struct column_comparison *comparison, const char *left_out) {
    const struct sink_check *check = comparison->target->check;
    sink_check_add(check, SINK_NOTE, "target_column_ignored",
                   "table %s is left without column %s, which the source has added (add_column: ignore)",
                   comparison->name, left_out);
    sink_check_object(check, comparison->name);
}

/* The last finding is about the columns of this list. */
static void report_gaps(struct column_comparison *comparison, const struct buffer *list) {
    const struct table *table = comparison->table;
    int extra = -1;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (is_missing_there(comparison, &table->columns[i]) &&
            find_origin(comparison, &table->columns[i], &extra) == ORIGIN_ADDED &&
            list_of(comparison, &table->columns[i]) == list)
            sink_check_gap(comparison->target->check, table, table->columns[i].name);
}

static void report_followed(const struct column_comparison *comparison, const char *followed) {
    const struct sink_check *check = comparison->target->check;
    sink_check_add(check, SINK_NOTE, "target_column_followed",
                   "table %s has no column %s yet; the sink adds it with the first row that has it",
                   comparison->name, followed);
    sink_check_object(check, comparison->name);
}

/* A statement that needs people: the rows that were there before the column. */
static void report_copied(struct column_comparison *comparison, const char *copied) {
    const struct sink_check *check = comparison->target->check;
    const char *source = comparison->table->mapped_from;
    sink_check_add(
        check, SINK_PROBLEM, "target_column_copy",
        source == NULL
            ? "table %s has no column %s; its default is not a constant, or the source's table was "
              "rewritten since, so only the source has the values of its earlier rows"
            : "table %s has no column %s; what the rule makes of earlier rows only a copy shows",
        comparison->name, copied);
    if (comparison->table->mode != ROWS_MERGED)
        sink_check_fix(check,
                       "add it to table %s at the target, with a type that holds its values; it is null in "
                       "the rows that are there. Then start again",
                       comparison->name);
    else if (source != NULL)
        sink_check_fix(check,
                       "add it to table %s at the target, with a type that holds the rule's values; run "
                       "`pgcdc table copy %s`, and start again",
                       comparison->name, source);
    else
        sink_check_fix(check,
                       "copy again: run `pgcdc drop`, drop table %s at the target, empty the others, and "
                       "start over with a new copy",
                       comparison->name);
    sink_check_object(check, comparison->name);
    report_gaps(comparison, &comparison->copied);
}

static bool report_added(struct column_comparison *comparison, struct error *err) {
    const struct sink_check *check = comparison->target->check;
    const char *statement = buffer_text(&comparison->statement), *added = buffer_text(&comparison->added),
               *copied = buffer_text(&comparison->copied), *followed = buffer_text(&comparison->followed),
               *left_out = buffer_text(&comparison->left_out);
    if (statement == NULL || added == NULL || copied == NULL || followed == NULL || left_out == NULL)
        return error_no_memory(err);
    if (added[0] != '\0') {
        sink_check_add(check, SINK_PROBLEM, "target_column", "table %s has no column %s", comparison->name,
                       added);
        sink_check_fix(check, "alter table %s %s;", comparison->name, statement);
        sink_check_object(check, comparison->name);
        report_gaps(comparison, &comparison->added);
    }
    if (followed[0] != '\0')
        report_followed(comparison, followed);
    if (left_out[0] != '\0')
        report_left_out(comparison, left_out);
    if (copied[0] != '\0')
        report_copied(comparison, copied);
    return true;
}

static bool read_numbers(struct column_comparison *comparison, PGresult **ret_numbers, struct error *err) {
    char oid[16];
    const char *parameters[] = {oid};
    snprintf(oid, sizeof oid, "%u", comparison->table->oid);
    if (!session_query(comparison->target->check->source, ADDED, 1, parameters,
                       &(const struct result_shape){"the query for added columns", 0, RESULT_ROWS_ANY,
                                                    ADDED_VALUE + 1, 1u << ADDED_VALUE},
                       ret_numbers, err))
        return false;
    comparison->numbers = *ret_numbers;
    comparison->same_order = is_same_order(comparison);
    return true;
}

static bool compare(struct column_comparison *comparison, struct error *err) {
    const struct table *table = comparison->table;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct table_column *column = &table->columns[i];
        int extra = -1;
        if (is_left_out(comparison, column)) {
            buffer_append_text(&comparison->left_out, comparison->left_out.size > 0 ? ", " : "");
            identifier_append(&comparison->left_out, slice_of(column->name));
        }
        if (!is_missing_there(comparison, column))
            continue;
        enum origin origin = find_origin(comparison, column, &extra);
        if (origin == ORIGIN_ADDED)
            take_added(comparison, column);
        else if (!add_renamed(comparison, column, extra, origin, err))
            return false;
    }
    return report_added(comparison, err);
}

bool target_check_columns(const struct target_check *target, const struct table *table, const char *name,
                          const PGresult *columns, struct error *err) {
    struct column_comparison comparison AUTO(column_comparison_release) = {
        .target = target, .table = table, .name = name, .columns = columns};
    PGresult *numbers AUTO_PGRESULT = NULL;
    PGresult *known AUTO_PGRESULT = NULL;
    buffer_init(&comparison.statement, TEXT_BYTES_MAX);
    buffer_init(&comparison.added, TEXT_BYTES_MAX);
    buffer_init(&comparison.left_out, TEXT_BYTES_MAX);
    buffer_init(&comparison.copied, TEXT_BYTES_MAX);
    buffer_init(&comparison.followed, TEXT_BYTES_MAX);
    PGresult *ignored AUTO_PGRESULT = NULL;
    if (!read_numbers(&comparison, &numbers, err) ||
        !target_check_read_followed(target, table, &known, &comparison.action, err) ||
        !ignored_columns_read(target->session, target->config, table, &ignored, err))
        return false;
    comparison.known = known;
    comparison.ignored = ignored;
    return compare(&comparison, err);
}
