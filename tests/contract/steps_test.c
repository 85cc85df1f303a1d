/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps_test.c - the steps of a migration in a real target: what is stored, who may write, and what is left.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/migrate/steps/steps.h"
#include "tests/support/sink_session.h"

enum { ARENA_BYTES_MAX = 1 << 20 };

struct steps_session {
    struct sink_session sink;
    struct config_sink config_sink;
    struct config config;
    struct arena arena;
    struct steps steps;
};

static void start(struct steps_session *s, const char *ddl) {
    *s = (struct steps_session){0};
    sink_session_init(&s->sink, ddl);
    arena_init(&s->arena, 4096, ARENA_BYTES_MAX);
    s->config_sink = (struct config_sink){.ops = sink_ops_find("postgres"), .sink = s->sink.config};
    s->config = (struct config){.name = s->sink.config.pipeline, .sinks = &s->config_sink, .sink_count = 1};
}

static bool open_steps(struct steps_session *s, struct steps *steps) {
    return steps_open(steps, &s->config, &s->config_sink, &s->sink.stop, &s->sink.err);
}

static void open_locked(struct steps_session *s) {
    cr_assert(open_steps(s, &s->steps), "%s", s->sink.err.text);
    cr_assert(steps_lock(&s->steps, "pgcdc migrate", &s->sink.err), "%s", s->sink.err.text);
}

static void end(struct steps_session *s) {
    steps_close(&s->steps);
    arena_release(&s->arena);
    sink_session_release(&s->sink);
}

static struct step read_step(struct steps_session *s, const char *name, const char *object) {
    struct step step;
    cr_assert(steps_read(&s->steps, name, object, &s->arena, &step, &s->sink.err), "%s", s->sink.err.text);
    return step;
}

#define OK(CALL) cr_assert(CALL, "%s", s.sink.err.text)

Test(steps, a_step_is_begun_and_done_and_keeps_its_first_start) {
    struct steps_session s;
    start(&s, "select 1");
    open_locked(&s);
    cr_assert_eq(read_step(&s, "schema", "").state, STEP_NONE);
    OK(steps_begin(&s.steps, "schema", "", NULL, &s.sink.err));
    const struct step begun = read_step(&s, "schema", "");
    cr_assert_eq(begun.state, STEP_STARTED);
    cr_assert_eq(begun.ended_us, 0);
    cr_assert_null(begun.detail);
    OK(steps_failed(&s.steps, "schema", "", "{\"why\":1}", &s.sink.err));
    const struct step failed = read_step(&s, "schema", "");
    cr_assert_eq(failed.state, STEP_FAILED);
    cr_assert_str_eq(failed.detail, "{\"why\":1}");
    cr_assert_geq(failed.ended_us, failed.started_us);
    OK(steps_begin(&s.steps, "schema", "", NULL, &s.sink.err));
    const struct step again = read_step(&s, "schema", "");
    cr_assert_eq(again.started_us, begun.started_us);
    cr_assert_eq(again.ended_us, 0);
    cr_assert_str_eq(again.detail, "{\"why\":1}");
    OK(steps_done(&s.steps, "schema", "", "{}", &s.sink.err));
    cr_assert_eq(read_step(&s, "schema", "").state, STEP_DONE);
    cr_assert_str_eq(read_step(&s, "schema", "").detail, "{}");
    end(&s);
}

Test(steps, objects_of_a_step_are_listed_and_removed) {
    struct steps_session s;
    struct step_list list;
    start(&s, "select 1");
    open_locked(&s);
    OK(steps_begin(&s.steps, "index", "public.\"a b\"", NULL, &s.sink.err));
    OK(steps_done(&s.steps, "index", "public.\"a b\"", NULL, &s.sink.err));
    OK(steps_begin(&s.steps, "index", "public.c", NULL, &s.sink.err));
    OK(steps_begin(&s.steps, "copy", "", NULL, &s.sink.err));
    OK(steps_list(&s.steps, "index", &s.arena, &list, &s.sink.err));
    cr_assert_eq(list.count, 2);
    cr_assert_str_eq(list.steps[0].object, "public.\"a b\"");
    cr_assert_eq(list.steps[1].state, STEP_STARTED);
    OK(steps_list(&s.steps, NULL, &s.arena, &list, &s.sink.err));
    cr_assert_eq(list.count, 3);
    OK(steps_remove(&s.steps, "index", &s.sink.err));
    OK(steps_list(&s.steps, NULL, &s.arena, &list, &s.sink.err));
    cr_assert_eq(list.count, 1);
    cr_assert_not(steps_done(&s.steps, "index", "public.c", NULL, &s.sink.err), "its row is gone");
    sink_session_expect(&s.sink, ERROR_REFUSE, WORDS("step index public.c", "removed"));
    end(&s);
}

Test(steps, a_step_in_a_transaction_of_another_session_is_part_of_it) {
    struct steps_session s;
    struct steps other = {0};
    start(&s, "select 1");
    open_locked(&s);
    OK(open_steps(&s, &other));
    const struct step step = {.name = "schema", .object = "", .state = STEP_STARTED};
    OK(session_execute(&other.session, "begin", &s.sink.err));
    OK(step_write(&other.session, other.pipeline, &step, &s.sink.err));
    OK(session_execute(&other.session, "rollback", &s.sink.err));
    cr_assert_eq(read_step(&s, "schema", "").state, STEP_NONE);
    steps_close(&other);
    end(&s);
}

Test(steps, a_second_process_is_refused_until_the_first_is_gone) {
    struct steps_session s;
    struct steps other = {0};
    start(&s, "select 1");
    open_locked(&s);
    OK(open_steps(&s, &other));
    cr_assert_not(steps_lock(&other, "pgcdc cutover", &s.sink.err));
    sink_session_expect(&s.sink, ERROR_RUNNING, WORDS("another process", "pgcdc migrate"));
    close(PQsocket(s.steps.session.conn)); /* as a kill -9 closes it */
    bool locked = false;
    for (int i = 0; i < 600 && !locked; i++) {
        locked = steps_lock(&other, "pgcdc cutover", &s.sink.err);
        cr_assert(locked || s.sink.err.kind == ERROR_RUNNING, "%s", s.sink.err.text);
        clock_pause_ms(locked ? 0 : 50);
    }
    cr_assert(locked);
    steps_close(&other);
    arena_release(&s.arena);
    sink_session_release(&s.sink);
}

Test(steps, of_another_pipeline_are_not_touched) {
    struct steps_session s;
    struct steps other = {0};
    struct config second;
    start(&s, "select 1");
    open_locked(&s);
    second = s.config;
    second.name = "another";
    OK(steps_open(&other, &second, &s.config_sink, &s.sink.stop, &s.sink.err));
    OK(steps_lock(&other, "pgcdc migrate", &s.sink.err));
    OK(steps_begin(&other, "copy", "", NULL, &s.sink.err));
    cr_assert_eq(read_step(&s, "copy", "").state, STEP_NONE);
    OK(steps_remove(&s.steps, NULL, &s.sink.err));
    sink_session_expect_text(&s.sink, "select string_agg(pipeline || step, '') from pgcdc.migration",
                             "anothercopy");
    OK(steps_remove(&other, NULL, &s.sink.err));
    sink_session_expect_text(&s.sink, "select coalesce(to_regclass('pgcdc.migration')::text, 'gone')",
                             "gone");
    cr_assert_not(other.exists);
    steps_close(&other);
    end(&s);
}

Test(steps, reading_creates_nothing) {
    struct steps_session s;
    struct step_list list;
    start(&s, "select 1");
    OK(open_steps(&s, &s.steps));
    cr_assert_not(s.steps.exists);
    OK(steps_list(&s.steps, NULL, &s.arena, &list, &s.sink.err));
    cr_assert_eq(list.count, 0);
    OK(steps_remove(&s.steps, NULL, &s.sink.err));
    sink_session_expect_text(&s.sink, "select coalesce(to_regclass('pgcdc.migration')::text, 'gone')",
                             "gone");
    end(&s);
}

/* The remedy is followed to the letter, first without a schema, then with one. */
Test(steps, missing_rights_are_named_with_a_remedy_that_helps) {
    struct steps_session s;
    char dsn[1024];
    start(&s, "drop role if exists pgcdc_mover; create role pgcdc_mover login");
    snprintf(dsn, sizeof dsn, "%s user=pgcdc_mover", database_dsn());
    s.sink.options[0].value = dsn;
    OK(open_steps(&s, &s.steps));
    cr_assert_not(steps_lock(&s.steps, "pgcdc migrate", &s.sink.err));
    sink_session_expect(&s.sink, ERROR_CONFIG, WORDS("pgcdc.migration", "permission denied"));
    cr_assert_not_null(strstr(s.sink.err.remedy, "grant create on database"), "%s", s.sink.err.remedy);
    database_execute(s.sink.conn, "create schema pgcdc");
    cr_assert_not(steps_lock(&s.steps, "pgcdc migrate", &s.sink.err));
    cr_assert_not_null(strstr(s.sink.err.remedy, "grant usage, create on schema pgcdc to"), "%s",
                       s.sink.err.remedy);
    const char *administrator = strstr(s.sink.err.remedy, "create table");
    cr_assert_not_null(administrator);
    database_execute(s.sink.conn, administrator);
    OK(steps_lock(&s.steps, "pgcdc migrate", &s.sink.err));
    OK(steps_begin(&s.steps, "schema", "", NULL, &s.sink.err));
    OK(steps_done(&s.steps, "schema", "", NULL, &s.sink.err));
    OK(steps_remove(&s.steps, NULL, &s.sink.err));
    sink_session_expect_text(&s.sink, "select count(*)::text from pgcdc.migration", "0");
    database_execute(s.sink.conn, "drop owned by pgcdc_mover; drop role pgcdc_mover");
    end(&s);
}
