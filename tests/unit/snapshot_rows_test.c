/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_rows_test.c - rows of COPY's text format as changes, for a sink that only knows write.
 */
#include "cdc/copy/snapshot_rows.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 16 };

/* Keeps the last batch's last row, as a sink must: copied. */
struct keeper {
    struct sink sink;
    size_t calls;
    size_t changes;
    uint64_t last_index;
    enum value_kind kinds[VALUES_MAX];
    char texts[VALUES_MAX][64];
    struct relation relation;
};

static bool keeper_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    const struct change *changes = span->changes;
    struct keeper *keeper = (struct keeper *) sink;
    const struct change *last = &changes[span->count - 1];
    (void) err;
    keeper->calls++;
    keeper->changes += span->count;
    keeper->last_index = last->index;
    keeper->relation = *last->relation;
    for (uint32_t i = 0; i < last->relation->column_count; i++) {
        const struct value *value = &last->new_values[i];
        keeper->kinds[i] = value->kind;
        memset(keeper->texts[i], 0, sizeof keeper->texts[i]);
        if (value->kind == VALUE_TEXT && value->size < sizeof keeper->texts[i])
            memcpy(keeper->texts[i], value->data, value->size);
    }
    return true;
}

static const struct sink_ops KEEPER = {.type = "keeper", .write = keeper_write};
static const struct position POSITION = {.end_lsn = 0x100};

static struct table_column columns[] = {
    {.name = "id",
     .type_oid = 23,
     .type_schema = "pg_catalog",
     .type_name = "int4",
     .published = true,
     .in_identity = true},
    {.name = "sum", .type_oid = 23, .type_schema = "pg_catalog", .type_name = "int4", .generated = 's'},
    {.name = "note",
     .type_oid = 1043,
     .type_modifier = 24,
     .type_schema = "pg_catalog",
     .type_name = "varchar",
     .published = true},
};
static const struct table TABLE = {.oid = 7,
                                   .schema = "public",
                                   .name = "t",
                                   .kind = 'r',
                                   .identity = 'd',
                                   .column_count = 3,
                                   .columns = columns};

static struct keeper kept_of(const char *row, bool *ret_taken) {
    struct keeper keeper = {.sink = {.ops = &KEEPER}};
    struct error err;
    struct snapshot_rows *rows = snapshot_rows_new(&keeper.sink, &POSITION);
    cr_assert(snapshot_rows_begin(rows, &TABLE, &err));
    *ret_taken = snapshot_rows_add(rows, slice_of(row), &err);
    if (*ret_taken)
        cr_assert(snapshot_rows_write(rows, &err));
    else
        cr_assert_eq(err.kind, ERROR_PROTOCOL);
    snapshot_rows_free(rows);
    return keeper;
}

Test(snapshot_rows, generated_columns_are_no_part_of_the_relation) {
    bool taken = false;
    struct keeper keeper = kept_of("1\tx\n", &taken);
    cr_assert(taken);
    cr_assert_eq(keeper.relation.column_count, 2);
    cr_assert_eq(keeper.relation.key_count, 1);
}

static bool keeper_checks_order(struct sink *sink, const struct sink_span *span, struct error *err) {
    const struct change *changes = span->changes;
    (void) sink, (void) err;
    return changes[0].transaction->commit_lsn < POSITION.end_lsn && changes[0].lsn == POSITION.end_lsn;
}

/*
 * It once had the LSN of the copy itself, at which the first streamed transaction may commit: consumers took
 * that for old.
 */
Test(snapshot_rows, a_row_comes_before_what_commits_at_the_very_lsn_of_the_copy) {
    static const struct sink_ops CHECKER = {.type = "checker", .write = keeper_checks_order};
    struct keeper keeper = {.sink = {.ops = &CHECKER}};
    struct error err;
    struct snapshot_rows *rows = snapshot_rows_new(&keeper.sink, &POSITION);
    cr_assert(snapshot_rows_begin(rows, &TABLE, &err));
    cr_assert(snapshot_rows_add(rows, slice_of("1\tx\n"), &err));
    cr_assert(snapshot_rows_write(rows, &err), "as the sink has checked");
    snapshot_rows_free(rows);
}

static bool keeper_checks_types(struct sink *sink, const struct sink_span *span, struct error *err) {
    const struct change *changes = span->changes;
    (void) sink, (void) err;
    const struct column *note = &changes[0].relation->columns[1];
    return slice_equal(note->type_schema, slice_of("pg_catalog")) &&
           slice_equal(note->type_name, slice_of("varchar")) && note->type_modifier == 24 && !note->is_key;
}

Test(snapshot_rows, a_column_has_its_type_as_in_the_stream) {
    static const struct sink_ops CHECKER = {.type = "checker", .write = keeper_checks_types};
    struct keeper keeper = {.sink = {.ops = &CHECKER}};
    struct error err;
    struct snapshot_rows *rows = snapshot_rows_new(&keeper.sink, &POSITION);
    cr_assert(snapshot_rows_begin(rows, &TABLE, &err));
    cr_assert(snapshot_rows_add(rows, slice_of("1\tx\n"), &err));
    cr_assert(snapshot_rows_write(rows, &err));
    snapshot_rows_free(rows);
}

Test(snapshot_rows, texts_are_unescaped) {
    static const struct {
        const char *row;
        enum value_kind kind;
        const char *text;
    } CASES[] = {
        {"1\tplain\n", VALUE_TEXT, "plain"},
        {"1\t\n", VALUE_TEXT, ""},
        {"1\t\\N\n", VALUE_NULL, ""},
        {"1\t\\\\N\n", VALUE_TEXT, "\\N"},
        {"1\tx\\N\n", VALUE_TEXT, "xN"},
        {"1\ta\\tb\\nc\\rd\\\\e\n", VALUE_TEXT, "a\tb\nc\rd\\e"},
        {"1\t\\b\\f\\v\n", VALUE_TEXT, "\b\f\v"},
        {"1\t\\\\\n", VALUE_TEXT, "\\"},
        {"1\tü\n", VALUE_TEXT, "ü"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        bool taken = false;
        struct keeper keeper = kept_of(CASES[i].row, &taken);
        cr_assert(taken, "row %zu", i);
        cr_assert_eq(keeper.kinds[1], CASES[i].kind, "row %zu", i);
        cr_assert_str_eq(keeper.texts[1], CASES[i].text, "row %zu", i);
        cr_assert_str_eq(keeper.texts[0], "1");
    }
}

Test(snapshot_rows, a_row_of_other_columns_is_refused) {
    static const char *const ROWS[] = {"", "\n", "1\n", "1\t2\t3\n", "1\t2"};
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        bool taken = true;
        kept_of(ROWS[i], &taken);
        cr_assert_not(taken, "row %zu", i);
    }
}

Test(snapshot_rows, all_rows_are_written_and_numbered_through) {
    struct keeper keeper = {.sink = {.ops = &KEEPER}};
    struct error err;
    const size_t count = 3 * SNAPSHOT_ROWS_MAX + 1;
    struct snapshot_rows *rows = snapshot_rows_new(&keeper.sink, &POSITION);
    for (int table = 0; table < 2; table++) {
        cr_assert(snapshot_rows_begin(rows, &TABLE, &err));
        for (size_t i = 0; i < count; i++)
            cr_assert(snapshot_rows_add(rows, slice_of("1\tx\n"), &err));
    }
    cr_assert(snapshot_rows_write(rows, &err));
    cr_assert_eq(keeper.changes, 2 * count);
    cr_assert_eq(keeper.last_index, 2 * count - 1);
    snapshot_rows_free(rows);
}

Test(snapshot_rows, a_batch_of_wide_rows_is_small) {
    struct keeper keeper = {.sink = {.ops = &KEEPER}};
    struct error err;
    struct snapshot_rows *rows = snapshot_rows_new(&keeper.sink, &POSITION);
    size_t size = 600 * 1024;
    char *row = malloc(size + 1);
    memset(row, 'x', size);
    memcpy(row, "1\t", 2);
    row[size - 1] = '\n';
    cr_assert(snapshot_rows_begin(rows, &TABLE, &err));
    for (int i = 0; i < 10; i++)
        cr_assert(snapshot_rows_add(rows, (struct slice){.data = row, .size = size}, &err));
    cr_assert_geq(keeper.calls, 4, "10 rows of 600 kB were held for %zu writes", keeper.calls);
    free(row);
    snapshot_rows_free(rows);
}
