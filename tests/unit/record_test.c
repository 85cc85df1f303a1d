/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_test.c - the bytes are those of protobuf-c, they read back as the change, and nothing else is taken.
 */
#include "proto/record.h"

#include <criterion/criterion.h>
#include <math.h>

#include "proto/record_read.h"
#include "proto/value_text.h"
#include "tests/support/change_builder.h"
#include "tests/support/random_change.h"

#define BUFFER_BYTES_MAX ((size_t) 64 << 20)

enum { ROUNDS = 5000 };

struct bench {
    struct random random;
    struct arena arena;
    struct buffer buffer;
    struct error err;
};

static struct bench bench_open(const char *name) {
    struct bench bench = {.random = random_start(name)};
    arena_init(&bench.arena, 64 * 1024, (size_t) 256 << 20);
    buffer_init(&bench.buffer, BUFFER_BYTES_MAX);
    return bench;
}

static void bench_close(struct bench *bench) {
    arena_release(&bench->arena);
    buffer_release(&bench->buffer);
}

static struct random_change bench_next(struct bench *bench) {
    arena_reset(&bench->arena);
    buffer_reset(&bench->buffer);
    return random_change_make(&bench->random, &bench->arena);
}

/* ---- our bytes and protobuf-c's ---- */

static struct slice pack(struct bench *bench, const void *message) {
    const ProtobufCMessage *base = message;
    size_t size = protobuf_c_message_get_packed_size(base);
    uint8_t *bytes = arena_alloc(&bench->arena, size);
    protobuf_c_message_pack(base, bytes);
    return (struct slice){.data = (const char *) bytes, .size = size};
}

static bool equals(const struct bench *bench, struct slice expected) {
    return slice_equal(buffer_slice(&bench->buffer), expected);
}

Test(record, is_byte_for_byte_what_protobuf_c_packs) {
    AUTO(bench_close) struct bench bench = bench_open("record");
    for (int round = 0; round < ROUNDS; round++) {
        struct random_change made = bench_next(&bench);
        cr_assert(record_write(&made.change, 0, &bench.buffer, &bench.err), "%s", bench.err.text);
        cr_assert(equals(&bench, pack(&bench, made.record)), "round %d", round);
    }
}

Test(record, keys_are_byte_for_byte_what_protobuf_c_packs) {
    AUTO(bench_close) struct bench bench = bench_open("record_key");
    for (int round = 0; round < ROUNDS; round++) {
        struct random_change made = bench_next(&bench);
        if (change_is_row(&made.change))
            cr_assert_eq(record_has_key(made.relation), made.key != NULL);
        if (made.key == NULL)
            continue;
        cr_assert(record_write_key(&made.change, 0, &bench.buffer, &bench.err), "%s", bench.err.text);
        cr_assert(equals(&bench, pack(&bench, made.key)), "round %d", round);
    }
}

Test(record, a_move_is_told_to_both_keys) {
    AUTO(bench_close) struct bench bench = bench_open("record_move");
    int moves = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct random_change made = bench_next(&bench);
        cr_assert_eq(record_is_move(&made.change), made.moved != NULL, "round %d", round);
        if (made.moved == NULL)
            continue;
        moves++;
        cr_assert(record_write_moved(&made.change, &bench.buffer, &bench.err), "%s", bench.err.text);
        cr_assert(equals(&bench, pack(&bench, made.moved)), "round %d", round);
        buffer_reset(&bench.buffer);
        cr_assert(record_write_old_key(&made.change, &bench.buffer, &bench.err), "%s", bench.err.text);
        cr_assert(equals(&bench, pack(&bench, made.old_key)), "round %d", round);
    }
    cr_assert_gt(moves, 100);
}

Test(record, the_comparison_can_fail) {
    AUTO(bench_close) struct bench bench = bench_open("record_differs");
    struct random_change made = bench_next(&bench);
    cr_assert(record_write(&made.change, 0, &bench.buffer, &bench.err));
    made.record->index++;
    cr_assert_not(equals(&bench, pack(&bench, made.record)));
}

Test(record, is_appended_to_what_is_there) {
    AUTO(bench_close) struct bench bench = bench_open("record_append");
    struct random_change made = bench_next(&bench);
    cr_assert(record_write(&made.change, 0, &bench.buffer, &bench.err));
    size_t size = bench.buffer.size;
    cr_assert(record_write(&made.change, 0, &bench.buffer, &bench.err));
    cr_assert_eq(bench.buffer.size, 2 * size);
    cr_assert_arr_eq(bench.buffer.data, bench.buffer.data + size, size);
}

/* It once was not counted twice, and the record ran over the end of its buffer. */
Test(record, a_large_part_of_a_key_that_moves_has_room_in_before_and_in_moved_to) {
    enum { LARGE = 200000 };
    AUTO(bench_close) struct bench bench = bench_open("record_large_key");
    struct column columns[] = {
        {.name = slice_of("large"), .type_oid = 25, .type_modifier = -1, .is_key = true},
        {.name = slice_of("id"), .type_oid = 25, .type_modifier = -1, .is_key = true}};
    struct relation relation = {
        .identity = REPLICA_IDENTITY_DEFAULT, .column_count = 2, .key_count = 2, .columns = columns};
    char *large = arena_alloc_zero(&bench.arena, LARGE);
    memset(large, 'x', LARGE);
    const struct value old_values[] = {{.kind = VALUE_TEXT, .data = large, .size = LARGE},
                                       {.kind = VALUE_TEXT, .data = "1", .size = 1}};
    const struct value new_values[] = {{.kind = VALUE_UNCHANGED},
                                       {.kind = VALUE_TEXT, .data = "2", .size = 1}};
    const struct transaction transaction = {.xid = 1};
    const struct change change = {.kind = CHANGE_UPDATE,
                                  .old_kind = OLD_KEY,
                                  .transaction = &transaction,
                                  .relation = &relation,
                                  .old_values = old_values,
                                  .new_values = new_values};
    cr_assert(record_is_move(&change));
    cr_assert(record_write_moved(&change, &bench.buffer, &bench.err), "%s", bench.err.text);
    cr_assert_gt(bench.buffer.size, 2 * LARGE);
}

/* ---- there and back ---- */

/* Floats may have been written with more digits than they need. */
static bool same_text(const struct column *column, struct slice written, struct slice read) {
    double wide[2];
    float narrow[2];
    if (slice_equal(column->type_name, slice_of("float8")))
        return value_text_to_float8(written, &wide[0]) && value_text_to_float8(read, &wide[1]) &&
               memcmp(&wide[0], &wide[1], sizeof *wide) == 0;
    if (slice_equal(column->type_name, slice_of("float4")))
        return value_text_to_float4(written, &narrow[0]) && value_text_to_float4(read, &narrow[1]) &&
               memcmp(&narrow[0], &narrow[1], sizeof *narrow) == 0;
    return slice_equal(written, read);
}

static void assert_column(const struct column *written, const struct column *read) {
    cr_assert(slice_equal(written->name, read->name), "%s is not %s", written->name.data, read->name.data);
    cr_assert(slice_equal(written->type_schema, read->type_schema), "%s", written->name.data);
    cr_assert(slice_equal(written->type_name, read->type_name), "%s", written->name.data);
    cr_assert_eq(written->type_modifier, read->type_modifier, "%s", written->name.data);
    cr_assert_eq(written->is_key, read->is_key, "%s", written->name.data);
}

static void assert_row(const struct relation *written, const struct value *was, const struct relation *read,
                       const struct value *is, bool key_only) {
    cr_assert_eq(was == NULL, is == NULL);
    for (uint32_t i = 0, j = 0; was != NULL && j < read->column_count; i++) {
        if (written->column_count != read->column_count && key_only && !written->columns[i].is_key)
            continue;
        assert_column(&written->columns[i], &read->columns[j]);
        cr_assert_eq(was[i].kind, is[j].kind, "%s", written->columns[i].name.data);
        if (was[i].kind == VALUE_TEXT)
            cr_assert(same_text(&written->columns[i], value_slice(&was[i]), value_slice(&is[j])), "%s",
                      written->columns[i].name.data);
        j++;
    }
}

static void assert_change(const struct random_change *made, const struct change *read) {
    const struct change *written = &made->change;
    const struct relation *relation = change_is_row(written) ? read->relation : read->relations[0];
    cr_assert_eq(read->kind, written->kind);
    cr_assert_eq(read->index, written->index);
    cr_assert_eq(read->transaction->commit_lsn, written->transaction->commit_lsn);
    cr_assert_eq(read->transaction->commit_time_us, written->transaction->commit_time_us);
    cr_assert_eq(read->transaction->xid, written->transaction->xid);
    cr_assert(slice_equal(relation->schema, made->relation->schema));
    cr_assert(slice_equal(relation->name, made->relation->name));
    cr_assert_eq(relation->identity, made->relation->identity);
    if (written->kind == CHANGE_TRUNCATE) {
        cr_assert_eq(read->truncate_flags, written->truncate_flags);
        return;
    }
    cr_assert_eq(relation->key_count, made->relation->key_count);
    cr_assert_eq(read->old_kind, written->old_kind);
    assert_row(made->relation, written->old_values, relation, read->old_values, written->old_kind == OLD_KEY);
    assert_row(made->relation, written->new_values, relation, read->new_values, false);
}

Test(record, reads_back_as_the_change) {
    AUTO(bench_close) struct bench bench = bench_open("record_read");
    for (int round = 0; round < ROUNDS; round++) {
        struct random_change made = bench_next(&bench);
        struct record record;
        cr_assert(record_write(&made.change, 0, &bench.buffer, &bench.err), "%s", bench.err.text);
        cr_assert(record_read(buffer_slice(&bench.buffer), &bench.arena, &record, &bench.err), "%s",
                  bench.err.text);
        cr_assert_not(record.is_moved);
        assert_change(&made, &record.change);
    }
}

Test(record, a_move_reads_back_as_a_delete_that_is_none) {
    AUTO(bench_close) struct bench bench = bench_open("record_read_move");
    struct random_change made = bench_next(&bench);
    while (made.moved == NULL)
        made = bench_next(&bench);
    struct record record;
    cr_assert(record_write_moved(&made.change, &bench.buffer, &bench.err), "%s", bench.err.text);
    cr_assert(record_read(buffer_slice(&bench.buffer), &bench.arena, &record, &bench.err), "%s",
              bench.err.text);
    cr_assert(record.is_moved);
    cr_assert_eq(record.change.kind, CHANGE_DELETE);
}

/* Changed at random, bytes are refused, or are a change that can be written again; a sanitizer watches. */
Test(record, no_bytes_break_the_reader) {
    AUTO(bench_close) struct bench bench = bench_open("record_fuzz");
    int taken = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct random_change made = bench_next(&bench);
        struct record record;
        cr_assert(record_write(&made.change, 0, &bench.buffer, &bench.err), "%s", bench.err.text);
        for (uint32_t times = random_below(&bench.random, 3); times > 0; times--)
            bench.buffer.data[random_below(&bench.random, (uint32_t) bench.buffer.size)] ^=
                (char) (1 << random_below(&bench.random, 8));
        if (random_below(&bench.random, 2))
            bench.buffer.size = random_below(&bench.random, (uint32_t) bench.buffer.size + 1);
        if (!record_read(buffer_slice(&bench.buffer), &bench.arena, &record, &bench.err)) {
            cr_assert_eq(bench.err.kind, ERROR_PROTOCOL, "%s", bench.err.text);
            continue;
        }
        taken++;
        if (!record_write(&record.change, 0, &bench.buffer, &bench.err))
            cr_assert_eq(bench.err.kind, ERROR_DATA, "%s", bench.err.text);
    }
    cr_assert_gt(taken, ROUNDS / 10);
}

/* ---- what is refused to be written ---- */

#define SECRET "9s3cr3t"

static const struct transaction TRANSACTION = {.commit_lsn = 0x1000, .xid = 7};

static struct column column_of(const char *type, oid_t oid) {
    return (struct column){.name = slice_of("v"),
                           .type_oid = oid,
                           .type_modifier = -1,
                           .type_schema = slice_of("pg_catalog"),
                           .type_name = slice_of(type)};
}

static bool write_value(struct bench *bench, struct column *column, struct value value) {
    struct relation relation = {.schema = slice_of("public"),
                                .name = slice_of("t"),
                                .identity = REPLICA_IDENTITY_DEFAULT,
                                .column_count = 1,
                                .columns = column};
    struct change change = {.kind = CHANGE_INSERT,
                            .lsn = 0x16B374D848,
                            .transaction = &TRANSACTION,
                            .relation = &relation,
                            .new_values = &value};
    return record_write(&change, 0, &bench->buffer, &bench->err);
}

static struct value text_value(const char *text) {
    return (struct value){.kind = VALUE_TEXT, .data = text, .size = (uint32_t) strlen(text)};
}

Test(record, a_text_that_the_type_does_not_have_is_refused_and_not_shown) {
    static const struct {
        const char *type;
        oid_t oid;
        const char *text;
    } CASES[] = {{"int4", 23, SECRET},    {"int4", 23, "2147483648"},
                 {"int4", 23, ""},        {"int2", 21, "-32769"},
                 {"oid", 26, "-1"},       {"oid", 26, "4294967296"},
                 {"bool", 16, "true"},    {"float4", 700, SECRET},
                 {"float4", 700, "1e39"}, {"float8", 701, "1e"},
                 {"bytea", 17, SECRET},   {"bytea", 17, "\\x0"},
                 {"bytea", 17, "\\x0g"},  {"bytea", 17, "\\x0A"},
                 {"int4", 16500, SECRET}, {"int8", 20, "9223372036854775808"}};
    AUTO(bench_close) struct bench bench = bench_open("record_malformed");
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct column column = column_of(CASES[i].type, CASES[i].oid);
        bench.err = (struct error){0};
        cr_assert_not(write_value(&bench, &column, text_value(CASES[i].text)), "case %zu", i);
        cr_assert_eq(bench.err.kind, ERROR_PROTOCOL, "case %zu", i);
        cr_assert_not_null(strstr(bench.err.text, "column v of public.t"), "%s", bench.err.text);
        cr_assert_not_null(strstr(bench.err.text, "16/B374D848"), "%s", bench.err.text);
        cr_assert_null(strstr(bench.err.text, SECRET), "%s", bench.err.text);
        cr_assert_eq(bench.buffer.size, 0);
    }
}

Test(record, a_binary_value_is_refused) {
    AUTO(bench_close) struct bench bench = bench_open("record_binary");
    struct column column = column_of("int4", 23);
    cr_assert_not(
        write_value(&bench, &column, (struct value){.kind = VALUE_BINARY, .data = "\0\0\0\1", .size = 4}));
    cr_assert_eq(bench.err.kind, ERROR_PROTOCOL);
}

Test(record, a_name_that_is_not_utf8_is_refused) {
    AUTO(bench_close) struct bench bench = bench_open("record_names");
    struct column name = column_of("int4", 23), type = column_of("\xff", 16500);
    name.name = slice_of("\xff");
    cr_assert_not(write_value(&bench, &name, text_value("1")));
    cr_assert_eq(bench.err.kind, ERROR_DATA);
    cr_assert_not(write_value(&bench, &type, text_value("1")));
    cr_assert_eq(bench.err.kind, ERROR_DATA);
}

Test(record, what_does_not_fit_the_buffer_is_refused) {
    AUTO(bench_close) struct bench bench = bench_open("record_room");
    struct column column = column_of("text", 25);
    buffer_release(&bench.buffer);
    buffer_init(&bench.buffer, 100);
    cr_assert_not(write_value(&bench, &column, text_value("one hundred bytes are not enough for the head")));
    cr_assert_eq(bench.err.kind, ERROR_DATA);
}

/* ---- what is refused to be read ---- */

static void expect_refused(struct bench *bench, const Pgcdc__V1__Change *message, const char *word) {
    struct record record;
    bench->err = (struct error){0};
    cr_assert_not(record_read(pack(bench, message), &bench->arena, &record, &bench->err), "%s", word);
    cr_assert_eq(bench->err.kind, ERROR_PROTOCOL);
    cr_assert_not_null(strstr(bench->err.text, word), "%s", bench->err.text);
}

Test(record, a_record_of_another_version_is_refused) {
    AUTO(bench_close) struct bench bench = bench_open("record_version");
    char id[] = "id", int4[] = "int4";
    Pgcdc__V1__Column column, *columns[] = {&column};
    pgcdc__v1__column__init(&column);
    column.name = id;
    column.type = int4;
    column.value_case = PGCDC__V1__COLUMN__VALUE_INTEGER;
    column.integer = 1;
    Pgcdc__V1__Change message;
    pgcdc__v1__change__init(&message);
    message.n_after = 1;
    message.after = columns;
    expect_refused(&bench, &message, "operation");
    message.operation = 6;
    expect_refused(&bench, &message, "operation");
    message.operation = PGCDC__V1__OPERATION__OPERATION_TRUNCATE;
    expect_refused(&bench, &message, "truncate");
    message.operation = PGCDC__V1__OPERATION__OPERATION_DELETE;
    expect_refused(&bench, &message, "gone");
    message.operation = PGCDC__V1__OPERATION__OPERATION_INSERT;
    message.replica_identity = 4;
    expect_refused(&bench, &message, "identity");
    message.replica_identity = 0;
    column.integer = INT64_C(1) << 31;
    expect_refused(&bench, &message, "range");
    column.value_case = PGCDC__V1__COLUMN__VALUE_FLOAT8;
    expect_refused(&bench, &message, "kind");
    column.value_case = PGCDC__V1__COLUMN__VALUE__NOT_SET;
    expect_refused(&bench, &message, "kind");
}
