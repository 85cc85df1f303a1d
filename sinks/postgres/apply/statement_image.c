/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement_image.c - many rows without a key, found by one statement before it changes the first of them.
 *
 *     with u as materialized (select unnest($1) as g, unnest($2) as r, unnest($4) as o0, …, unnest($7) as n0, …),
 *     f as materialized (…)
 *     update t set … from f where t.tableoid = f.o and t.ctid = f.c and t.ctid = any (array(select f.c from f))
 *
 * u has a row for each change: g is equal for changes that need identical rows, r is the ordinal among
 * these. f has the row that each change found, at o and c. Identical is defined in row_match.c, which also
 * accepts a row that is only equal. Here such a row is not found, and a missing one neither; the wrong count
 * then sends the changes to the row path.
 *
 * Without an index, f is one pass over the table. The rows that match one change are numbered too, so none
 * is used twice:
 *
 *     m as materialized (select w.tableoid as o, w.ctid as c, d.g, row_number() over (partition by d.g) as r
 *         from t w join u d on hash(w) = hash(d) and w is the same as d where d.r = 1),
 *     f as materialized (select m.o, m.c, u.n0, … from m join u on u.g = m.g and u.r = m.r)
 *
 * The hash makes a hash join possible. It need not be good, but must be the same for identical rows. So it
 * uses the values where equality means equal bytes, otherwise their text, and it leaves out values that are
 * stored out of line.
 *
 * With an index, the index is searched for each change:
 *
 *     f as materialized (select m.o, m.c, u.n0, … from u cross join lateral
 *         (select w.tableoid as o, w.ctid as c from t w where w.a = u.o0 and w is the same as u offset u.r - 1 limit 1) m)
 *
 * An index search for NULL differs from one for a value. Where the rows have both, there is a branch for
 * each, and one of the two finds nothing.
 */
#include "sinks/postgres/apply/statement_image.h"

#define SHORT_BYTES_MAX "1024" /* a text or bytea above is hashed by its size */
#define MIXED_MAX 2u           /* indexed columns with both NULL and values: each doubles the branches */
#define FILTERS_MAX 16u        /* as in row_match.c */

struct image {
    struct buffer *sql;
    const char *change; /* the alias of the relation with the old values */
    const struct target_table *table;
    const struct statement_form *form;
    struct statement_parameter *parameters;
    int count;
};

/* A column of u and the array it is unnested from. */
static void append_unnest(struct image *image, struct statement_parameter parameter, const char *name,
                          const char *glue) {
    image->parameters[image->count++] = parameter;
    buffer_printf(image->sql, "%sunnest($%d) as %s", glue, image->count, name);
    if (parameter.kind == PARAMETER_VALUE)
        buffer_printf(image->sql, "%u", parameter.column);
}

static void append_changes(struct image *image) {
    buffer_append_text(image->sql, "with u as materialized (select ");
    append_unnest(image, (struct statement_parameter){.kind = PARAMETER_IMAGE}, "g", "");
    append_unnest(image, (struct statement_parameter){.kind = PARAMETER_RANK}, "r", ", ");
    if (image->form->is_partial)
        append_unnest(image, (struct statement_parameter){.kind = PARAMETER_WRITTEN}, "s", ", ");
    for (uint32_t i = 0; i < image->table->column_count; i++) {
        if (image->table->columns[i].is_written)
            append_unnest(image, (struct statement_parameter){.column = i, .is_old = true}, "o", ", ");
        if (column_set_has(image->form->written, i))
            append_unnest(image, (struct statement_parameter){.column = i}, "n", ", ");
    }
    buffer_append_text(image->sql, ")");
}

/* "w.name" of the table, or "u.o3" of the change. */
static void append_name(struct image *image, uint32_t column, bool of_change) {
    if (of_change)
        buffer_printf(image->sql, "%s.o%u", image->change, column);
    else
        buffer_printf(image->sql, "w.%s", image->table->columns[column].name);
}

static void append_hashed(struct image *image, uint32_t column, bool of_change) {
    enum column_hash hash = image->table->columns[column].hash;
    if (hash == HASH_SHORT) {
        buffer_append_text(image->sql, "case when pg_catalog.octet_length(");
        append_name(image, column, of_change);
        buffer_append_text(image->sql, ") <= " SHORT_BYTES_MAX " then ");
        append_name(image, column, of_change);
        buffer_append_text(image->sql, " end, pg_catalog.octet_length(");
    }
    append_name(image, column, of_change);
    if (hash == HASH_SHORT)
        buffer_append_text(image->sql, ")");
    if (hash == HASH_TEXT)
        buffer_append_text(image->sql, "::pg_catalog.text collate pg_catalog.\"C\"");
}

static void append_hash(struct image *image, bool of_change) {
    const char *glue = "pg_catalog.hash_record_extended(row(";
    for (uint32_t i = 0; i < image->table->column_count; i++) {
        const struct target_column *column = &image->table->columns[i];
        if (!column->is_written || column->hash == HASH_NOT)
            continue;
        buffer_append_text(image->sql, glue);
        append_hashed(image, i, of_change);
        glue = ", ";
    }
    buffer_append_text(image->sql, "), 0)");
}

static void append_row(struct image *image, bool of_change) {
    const char *glue = "";
    buffer_append_text(image->sql, "row(");
    for (uint32_t i = 0; i < image->table->column_count; i++) {
        if (!image->table->columns[i].is_written || image->table->columns[i].holds_row)
            continue;
        buffer_append_text(image->sql, glue);
        append_name(image, i, of_change);
        glue = ", ";
    }
    buffer_append_text(image->sql, ")::pg_catalog.record");
}

static void append_texts(struct image *image) {
    for (uint32_t i = 0; i < image->table->column_count; i++) {
        if (!image->table->columns[i].is_written || !image->table->columns[i].holds_row)
            continue;
        buffer_append_text(image->sql, " and ");
        append_name(image, i, false);
        buffer_append_text(image->sql, "::pg_catalog.text collate pg_catalog.\"C\" is not distinct from ");
        append_name(image, i, true);
        buffer_append_text(image->sql, "::pg_catalog.text collate pg_catalog.\"C\"");
    }
}

static void append_same(struct image *image) {
    append_row(image, false);
    buffer_append_text(image->sql, " operator(pg_catalog.*=) ");
    append_row(image, true);
    append_texts(image);
}

/* What f has of each change: the row that it found, and the values to set. */
static void append_found(struct image *image) {
    buffer_append_text(image->sql, "select m.o, m.c");
    if (image->form->is_partial)
        buffer_append_text(image->sql, ", u.s");
    for (uint32_t i = 0; i < image->table->column_count; i++)
        if (column_set_has(image->form->written, i))
            buffer_printf(image->sql, ", u.n%u", i);
}

static void append_found_by_hash(struct image *image) {
    const struct target_table *table = image->table;
    image->change = "d";
    buffer_printf(image->sql,
                  ", m as materialized (select w.tableoid as o, w.ctid as c, d.g,"
                  " pg_catalog.row_number() over (partition by d.g) as r from %s%s w join u d on ",
                  table->is_partitioned ? "" : "only ", table->name);
    append_hash(image, false);
    buffer_append_text(image->sql, " operator(pg_catalog.=) ");
    append_hash(image, true);
    buffer_append_text(image->sql, " and ");
    append_same(image);
    buffer_append_text(image->sql, " where d.r = 1), f as materialized (");
    append_found(image);
    buffer_append_text(image->sql, " from m join u on u.g = m.g and u.r = m.r) ");
}

/*
 * The condition on a column that is NULL in some rows: for those, or for the others. Beyond MIXED_MAX such
 * columns the index is not used.
 */
static void append_mixed(struct image *image, uint32_t column, uint32_t place, uint32_t branch) {
    const struct target_column *of_table = &image->table->columns[column];
    if (place >= MIXED_MAX)
        return;
    if ((branch >> place & 1) != 0)
        buffer_printf(image->sql, "u.o%u is null and w.%s is null and ", column, of_table->name);
    else
        buffer_printf(image->sql, "w.%s %s u.o%u and ", of_table->name, of_table->equals, column);
}

static void append_searched(struct image *image, uint32_t branch) {
    uint32_t mixed = 0;
    for (uint32_t i = 0; i < image->table->searched_count; i++) {
        uint32_t column = image->table->searched[i];
        const struct target_column *of_table = &image->table->columns[column];
        if ((image->form->mixed >> i & 1) != 0)
            append_mixed(image, column, mixed++, branch);
        else if ((image->form->nulls >> i & 1) != 0)
            buffer_printf(image->sql, "w.%s is null and ", of_table->name);
        else
            buffer_printf(image->sql, "w.%s %s u.o%u and ", of_table->name, of_table->equals, column);
    }
}

/* Cheaper than comparing rows, and most rows already differ in the first of them. */
static void append_filters(struct image *image) {
    uint32_t left = FILTERS_MAX;
    for (uint32_t i = 0; i < image->table->column_count && left > 0; i++) {
        const struct target_column *column = &image->table->columns[i];
        if (!column->is_written || !column->compares)
            continue;
        buffer_printf(image->sql, "(w.%s %s u.o%u) is not false and ", column->name, column->equals, i);
        left--;
    }
}

static void append_branch(struct image *image, uint32_t branch) {
    const struct target_table *table = image->table;
    buffer_printf(image->sql, "%sselect w.tableoid as o, w.ctid as c from %s%s w where ",
                  branch > 0 ? " union all " : "", table->is_partitioned ? "" : "only ", table->name);
    append_searched(image, branch);
    append_filters(image);
    append_same(image);
}

static void append_found_by_index(struct image *image) {
    uint32_t mixed = 0;
    for (uint32_t i = 0; i < image->table->searched_count; i++)
        mixed += image->form->mixed >> i & 1;
    uint32_t branches = UINT32_C(1) << (mixed < MIXED_MAX ? mixed : MIXED_MAX);
    image->change = "u";
    buffer_append_text(image->sql, ", f as materialized (");
    append_found(image);
    buffer_append_text(image->sql, " from u cross join lateral (");
    for (uint32_t branch = 0; branch < branches; branch++)
        append_branch(image, branch);
    buffer_append_text(image->sql, " offset u.r - 1 limit 1) m) ");
}

static void append_set(struct image *image) {
    const char *glue = " set ";
    for (uint32_t i = 0; i < image->table->column_count; i++) {
        const char *name = image->table->columns[i].name;
        if (!column_set_has(image->form->written, i))
            continue;
        buffer_printf(image->sql, "%s%s = ", glue, name);
        if (image->form->is_partial)
            buffer_printf(image->sql, "case when pg_catalog.get_bit(f.s, %u) = 1 then f.n%u else t.%s end", i,
                          i, name);
        else
            buffer_printf(image->sql, "f.n%u", i);
        glue = ", ";
    }
}

int statement_image_text(struct buffer *sql, const struct target_table *table,
                         const struct statement_form *form, struct statement_parameter *parameters) {
    struct image image = {.sql = sql, .table = table, .form = form, .parameters = parameters};
    bool is_update = form->kind == STATEMENT_IMAGE_UPDATE;
    append_changes(&image);
    if (table->searched_count > 0)
        append_found_by_index(&image);
    else
        append_found_by_hash(&image);
    buffer_printf(sql, "%s %s%s as t", is_update ? "update" : "delete from",
                  table->is_partitioned ? "" : "only ", table->name);
    if (is_update)
        append_set(&image);
    buffer_append_text(sql, is_update ? " from f" : " using f");
    buffer_append_text(
        sql, " where t.tableoid = f.o and t.ctid = f.c and t.ctid = any (array(select f.c from f))");
    return image.count;
}
