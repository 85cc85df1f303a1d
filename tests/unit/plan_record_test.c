/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_record_test.c - what is written is what is read; anything else is an error.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "sinks/plan_record.h"

static struct json_writer json;
static struct arena arena;

static void prepare(void) {
    struct error err = {0};
    cr_assert(json_writer_init(&json, &err));
    arena_init(&arena, 4096, 1 << 20);
}

static void release(void) {
    json_writer_release(&json);
    arena_release(&arena);
}

TestSuite(plan_record, .init = prepare, .fini = release);

static void assert_text(const char *a, const char *b) {
    cr_assert((a == NULL) == (b == NULL));
    if (a != NULL)
        cr_assert_str_eq(a, b);
}

static void assert_comes_back(const struct chunk *chunk) {
    struct slice value;
    struct chunk back;
    struct error err = {0};
    cr_assert(chunk_record_format(&json, chunk, &value, &err), "%s", err.text);
    cr_assert(chunk_record_parse(value, &arena, &back, &err), "%s: %.*s", err.text, (int) value.size,
              value.data);
    cr_assert_eq(back.id, chunk->id);
    cr_assert_eq(back.relation_oid, chunk->relation_oid);
    cr_assert_eq(back.method, chunk->method);
    cr_assert_eq(back.column_type, chunk->column_type);
    cr_assert_eq(back.key_type, chunk->key_type);
    cr_assert_eq(back.bytes_estimate, chunk->bytes_estimate);
    cr_assert_eq(back.rows, chunk->rows);
    cr_assert_eq(back.state, chunk->state);
    cr_assert_eq(back.is_added, chunk->is_added);
    assert_text(back.schema, chunk->schema);
    assert_text(back.table, chunk->table);
    assert_text(back.column, chunk->column);
    assert_text(back.order_sql, chunk->order_sql);
    assert_text(back.low, chunk->low);
    assert_text(back.high, chunk->high);
    assert_text(back.snapshot, chunk->snapshot);
}

Test(plan_record, a_chunk_comes_back) {
    const struct chunk whole = {.id = 1, .relation_oid = 16384, .schema = "public", .table = "t"};
    assert_comes_back(&whole);
    const struct chunk full = {.id = UINT32_MAX,
                               .relation_oid = UINT32_MAX,
                               .schema = "with \"quotes\" and \\",
                               .table = "Tä\nb\x1b[0m",
                               .method = CHUNK_BY_SOURCE,
                               .column = "k",
                               .column_type = 25,
                               .key_type = 25,
                               .order_sql = "pg_catalog.text collate \"C\"",
                               .low = "",
                               .high = "a\tb\x01",
                               .bytes_estimate = UINT64_C(1) << 60,
                               .rows = UINT64_C(1) << 50,
                               .state = CHUNK_DIRTY,
                               .is_added = true,
                               .snapshot = "10:20:11,12"};
    assert_comes_back(&full);
}

Test(plan_record, a_plan_comes_back) {
    const struct chunk_plan plan = {
        .snapshot = "100:100:", .read_lsn = 0x16B374D848, .row_lsn = 1, .row_index = UINT64_C(1) << 40};
    struct chunk_plan back = {0};
    struct slice value;
    struct error err = {0};
    cr_assert(plan_record_format(&json, &plan, &value, &err), "%s", err.text);
    cr_assert(plan_record_parse(value, &arena, &back, &err), "%s", err.text);
    assert_text(back.snapshot, plan.snapshot);
    cr_assert_eq(back.read_lsn, plan.read_lsn);
    cr_assert_eq(back.row_lsn, plan.row_lsn);
    cr_assert_eq(back.row_index, plan.row_index);
}

static bool parses(const char *text) {
    struct chunk chunk;
    struct error err = {0};
    const bool parsed = chunk_record_parse(slice_of(text), &arena, &chunk, &err);
    cr_assert(parsed || err.kind == ERROR_PROTOCOL, "%s: %s", text, err.text);
    return parsed;
}

#define REST                                                                                                 \
    "\"oid\":5,\"schema\":\"s\",\"table\":\"t\",\"method\":\"whole\",\"column_type\":0,\"key_type\":0,"      \
    "\"bytes\":0,\"rows\":0"

Test(plan_record, anything_else_is_an_error) {
    cr_assert(parses("{\"version\":1,\"id\":1," REST ",\"state\":\"waits\",\"later\":[1]}"));
    cr_assert_not(parses(""));
    cr_assert_not(parses("null"));
    cr_assert_not(parses("[]"));
    cr_assert(parses("{\"version\":2,\"id\":1," REST ",\"state\":\"waits\"}"));
    cr_assert_not(parses("{\"version\":3,\"id\":1," REST ",\"state\":\"waits\"}"));
    cr_assert_not(parses("{\"version\":1," REST ",\"state\":\"waits\"}"));
    cr_assert_not(parses("{\"version\":1,\"id\":-1," REST ",\"state\":\"waits\"}"));
    cr_assert_not(parses("{\"version\":1,\"id\":4294967296," REST ",\"state\":\"waits\"}"));
    cr_assert_not(parses("{\"version\":1,\"id\":\"1\"," REST ",\"state\":\"waits\"}"));
    cr_assert_not(parses("{\"version\":1,\"id\":1," REST ",\"state\":\"lost\"}"));
    cr_assert_not(parses("{\"version\":1,\"id\":1," REST ",\"state\":\"copied\"}"), "without a snapshot");
}
