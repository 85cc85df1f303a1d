/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_chunks_test.c - a copy in chunks into the Postgres sink: plan, chunks, notes, and who may write.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cdc/base/arena.h"
#include "tests/support/sink_calls.h"
#include "tests/support/sink_session.h"

typedef struct sink_session session_t;

enum { RELATION = 4711 };

static struct table_column columns[] = {{.name = "id",
                                         .type_oid = 20,
                                         .type_schema = "pg_catalog",
                                         .type_name = "int8",
                                         .type_sql = "bigint",
                                         .not_null = true,
                                         .published = true,
                                         .in_identity = true,
                                         .key_index = 1},
                                        {.name = "v",
                                         .type_oid = 25,
                                         .type_schema = "pg_catalog",
                                         .type_name = "text",
                                         .type_sql = "text",
                                         .published = true}};

static struct table table_of_rows(void) {
    return (struct table){.oid = RELATION,
                          .schema = "public",
                          .name = "t",
                          .kind = 'r',
                          .identity = 'd',
                          .key_count = 1,
                          .column_count = 2,
                          .columns = columns};
}

static struct chunk chunk_of(uint32_t id, const char *low, const char *high) {
    return (struct chunk){.id = id,
                          .relation_oid = RELATION,
                          .schema = "public",
                          .table = "t",
                          .method = CHUNK_BY_KEY,
                          .column = "id",
                          .column_type = 20,
                          .key_type = 20,
                          .order_sql = "pg_catalog.int8",
                          .low = low,
                          .high = high,
                          .bytes_estimate = 100};
}

/* An open sink with a plan of two chunks, with the bound 10. */
static void store_plan(session_t *s) {
    const struct position position = {.end_lsn = 0x1000, .system_id = 1, .timeline = 1};
    const struct chunk chunks[] = {chunk_of(1, NULL, "10"), chunk_of(2, "10", NULL)};
    const struct chunk_plan plan = {.snapshot = "100:100:", .chunks = chunks, .count = 2};
    struct table table = table_of_rows();
    sink_session_start(s, "create table t (id bigint primary key, v text)");
    const struct sink_ops *ops = s->sink->ops;
    cr_assert(ops->copy->begin(s->sink, &table, 1, &s->err), "%s", s->err.text);
    cr_assert(ops->chunk->find_parts(s->sink, &table, 1, &s->err), "%s", s->err.text);
    cr_assert(table.sink_takes_parts);
    cr_assert(ops->chunk->store(s->sink, &plan, &position, &s->err), "%s", s->err.text);
}

static struct chunk_plan load(session_t *s, struct sink *sink, struct arena *arena) {
    struct chunk_plan plan;
    arena_init(arena, 65536, 1 << 20);
    cr_assert(sink->ops->chunk->load(sink, arena, &plan, &s->err), "%s", s->err.text);
    return plan;
}

static struct sink *open_copier(session_t *s, struct sink *sink, struct table *table) {
    struct sink *copier = sink_new(sink->ops, &s->config, &s->stop);
    cr_assert(copier->ops->chunk->open(copier, sink, &s->err), "%s", s->err.text);
    cr_assert(copier->ops->chunk->prepare(copier, table, &s->err), "%s", s->err.text);
    return copier;
}

static bool copy_rows(session_t *s, struct sink *copier, const struct table *table, struct chunk chunk,
                      const char *snapshot, const char *rows) {
    const struct sink_ops *ops = copier->ops;
    const bool begun = ops->chunk->begin(copier, table, &chunk, COPY_FORMAT_TEXT, &s->err) &&
                       ops->copy->data(copier, slice_of(rows), &s->err);
    chunk.snapshot = snapshot;
    return begun && ops->chunk->end(copier, table, &chunk, 0x2000, 2, &s->err);
}

static void close_copier(struct sink *copier) {
    copier->ops->close(copier);
    sink_free(copier);
}

static bool commit_note(session_t *s, const struct chunk_note *note, lsn_t end_lsn) {
    const struct position position = {.end_lsn = end_lsn, .system_id = 1, .timeline = 1};
    struct position durable = {0};
    return s->sink->ops->chunk->note(s->sink, note, &s->err) &&
           s->sink->ops->commit(s->sink, &position, COMMIT_DURABLE, &durable, &s->err);
}

#define STATES "select string_agg(state, ' ' order by id) from pgcdc.chunk"

Test(postgres_chunks, rows_and_mark_are_one_step_and_a_new_engine_loads_them) {
    session_t s;
    struct arena arena;
    struct table table = table_of_rows();
    store_plan(&s);
    struct sink *copier = open_copier(&s, s.sink, &table);
    cr_assert(copy_rows(&s, copier, &table, chunk_of(1, NULL, "10"), "105:105:", "1\ta\n2\tb\n"), "%s",
              s.err.text);
    struct chunk second = chunk_of(2, "10", NULL);
    cr_assert(copier->ops->chunk->begin(copier, &table, &second, COPY_FORMAT_TEXT, &s.err));
    cr_assert(copier->ops->copy->data(copier, slice_of("11\tc\n"), &s.err));
    close_copier(copier); /* killed */
    sink_session_expect_text(&s, "select string_agg(id::text, ' ' order by id) from t", "1 2");
    sink_session_expect_text(&s, STATES, "copied waits");
    const struct chunk_plan plan = load(&s, s.sink, &arena);
    cr_assert_eq(plan.count, 2);
    cr_assert_str_eq(plan.snapshot, "100:100:");
    cr_assert_eq(plan.chunks[0].state, CHUNK_COPIED);
    cr_assert_str_eq(plan.chunks[0].snapshot, "105:105:");
    cr_assert_eq(plan.chunks[1].state, CHUNK_WAITS);
    cr_assert_str_eq(plan.chunks[1].low, "10");
    cr_assert_null(plan.chunks[1].high);
    cr_assert_eq(plan.read_lsn, 0x2000);
    arena_release(&arena);
    sink_session_release(&s);
}

Test(postgres_chunks, a_copier_of_an_older_engine_cannot_write) {
    session_t s;
    struct arena arena;
    struct table table = table_of_rows();
    struct position position;
    store_plan(&s);
    struct sink *copier = open_copier(&s, s.sink, &table);
    struct sink *newer = sink_new(s.sink->ops, &s.config, &s.stop);
    cr_assert(newer->ops->open(newer, &position, &s.err), "%s", s.err.text);
    cr_assert_eq(position.end_lsn, 0x1000);
    cr_assert_eq(load(&s, newer, &arena).count, 2);
    cr_assert_not(copy_rows(&s, copier, &table, chunk_of(1, NULL, "10"), "105:105:", "1\ta\n2\tb\n"));
    sink_session_expect(&s, ERROR_REFUSE, WORDS("another engine has taken over", "run only one"));
    close_copier(copier);
    copier = open_copier(&s, newer, &table);
    cr_assert(copy_rows(&s, copier, &table, chunk_of(1, NULL, "10"), "105:105:", "1\ta\n2\tb\n"), "%s",
              s.err.text);
    cr_assert_not(copy_rows(&s, copier, &table, chunk_of(1, NULL, "10"), "106:106:", "1\ta\n2\tb\n"),
                  "it is copied already");
    close_copier(copier);
    sink_session_expect_text(&s, STATES, "copied waits");
    newer->ops->close(newer);
    sink_free(newer);
    arena_release(&arena);
    sink_session_release(&s);
}

Test(postgres_chunks, notes_are_stored_with_the_position_and_a_dirty_chunk_is_replaced) {
    session_t s;
    struct arena arena;
    struct table table = table_of_rows();
    const uint64_t seen[] = {107, 109}, later[] = {120};
    const uint32_t dirty[] = {1};
    store_plan(&s);
    struct sink *copier = open_copier(&s, s.sink, &table);
    cr_assert(copy_rows(&s, copier, &table, chunk_of(1, NULL, "10"), "105:105:", "1\ta\n2\tb\n"), "%s",
              s.err.text);
    struct chunk_note note = {
        .seen = seen, .seen_count = 2, .seen_below = 105, .dirty = dirty, .dirty_count = 1};
    cr_assert(commit_note(&s, &note, 0x1100), "%s", s.err.text);
    struct chunk_plan plan = load(&s, s.sink, &arena);
    cr_assert_eq(plan.chunks[0].state, CHUNK_DIRTY);
    cr_assert_eq(plan.seen_count, 2);
    arena_release(&arena);
    struct chunk again = chunk_of(1, NULL, "10");
    again.state = CHUNK_DIRTY;
    cr_assert(copy_rows(&s, copier, &table, again, "110:110:", "2\tx\n3\ty\n"), "%s", s.err.text);
    sink_session_expect_text(&s, "select string_agg(id || v, ' ' order by id) from t", "2x 3y");
    note = (struct chunk_note){.seen = later, .seen_count = 1, .seen_below = 110};
    cr_assert(commit_note(&s, &note, 0x1200), "%s", s.err.text);
    plan = load(&s, s.sink, &arena);
    cr_assert_eq(plan.seen_count, 1, "older ones are seen by every snapshot from now on");
    cr_assert_eq(plan.seen[0], 120);
    arena_release(&arena);
    close_copier(copier);
    sink_session_release(&s);
}

/* An older build would apply what a chunk contains; it knows layout 2. */
Test(postgres_chunks, an_older_build_is_stopped_until_the_plan_is_gone) {
    session_t s;
    struct arena arena;
    const struct chunk_note finished = {.is_finished = true, .last_id = 2};
    store_plan(&s);
    sink_session_expect_text(&s, "select layout::text from pgcdc.position", "3");
    cr_assert(commit_note(&s, &finished, 0x1300), "%s", s.err.text);
    sink_session_expect_text(&s, "select layout::text from pgcdc.position", "2");
    sink_session_expect_text(&s, "select end_lsn::text from pgcdc.position", "0/1300");
    cr_assert_eq(load(&s, s.sink, &arena).count, 0);
    arena_release(&arena);
    sink_session_release(&s);
}

Test(postgres_chunks, drop_removes_the_plan) {
    session_t s;
    store_plan(&s);
    s.sink->ops->close(s.sink);
    struct sink *closed = sink_new(s.sink->ops, &s.config, &s.stop);
    cr_assert(closed->ops->admin->drop(closed, &s.err), "%s", s.err.text);
    sink_free(closed);
    sink_session_expect_text(&s,
                             "select count(*)::text from pg_class c join pg_namespace n"
                             " on n.oid = relnamespace where nspname = 'pgcdc' and relkind = 'r'",
                             "0");
    sink_session_release(&s);
}
