/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_test.c - progress, not process: what is yes, what is no, and in which words.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cdc/http/health.h"

enum { NOW_MS = 1000000, STALLED_MS = 10000 };

static struct config_sink sinks[] = {{.sink = {.name = "one"}}, {.sink = {.name = "two"}}};
static struct config config = {.sinks = sinks, .sink_count = 2};
static struct live_facts part;
static struct sink_probe_facts probes[2];
static struct view view;
static struct buffer words;

/* A pipeline that streams, with nothing on its way. */
static void prepare(void) {
    part = (struct live_facts){.exists = true, .phase = LIVE_STREAMING, .turned_ms = NOW_MS, .sink_count = 2};
    part.sinks[0].moved_ms = part.sinks[1].moved_ms = NOW_MS;
    memset(probes, 0, sizeof probes);
    view =
        (struct view){.config = &config, .now_ms = NOW_MS, .parts = &part, .part_count = 1, .sinks = probes};
    view.stalled_ms = STALLED_MS;
    view.source.safe_bytes = -1;
    buffer_init(&words, 1 << 16);
}

static void release(void) {
    buffer_release(&words);
}

TestSuite(health, .init = prepare, .fini = release);

static void assert_says(const char *part_of_it) {
    const char *said = buffer_text(&words);
    cr_assert(said != NULL && strstr(said, part_of_it) != NULL, "'%s' is not in: %s", part_of_it, said);
}

Test(health, a_stream_at_rest_is_ready_without_a_word) {
    cr_assert(health_is_live(&view, &words));
    cr_assert(health_is_ready(&view, &words));
    cr_assert(health_has_started(&view, &words));
    cr_assert_eq(words.size, 0);
}

Test(health, a_sink_that_has_work_and_does_not_move_is_named) {
    part.sinks[1] =
        (struct live_sink){.is_busy = true, .moved_ms = NOW_MS - STALLED_MS - 1, .durable_lsn = 0x10};
    cr_assert_not(health_is_ready(&view, &words));
    assert_says("sink two: it has taken nothing for 10 s, at 0/10, while changes wait\n");
    cr_assert(health_is_live(&view, &words));
}

Test(health, a_sink_that_is_paused_is_not_ready_and_says_by_whom) {
    view.unix_us = 90 * INT64_C(1000000);
    view.paused[1] =
        (struct pause_facts){.is_wanted = true, .since_us = 30 * INT64_C(1000000), .by = "anna (pid 7)"};
    cr_assert_not(health_is_ready(&view, &words));
    assert_says("sink two: paused for 60 s by anna (pid 7)");
    cr_assert(health_is_live(&view, &words));
}

Test(health, a_sink_that_has_work_may_take_its_time) {
    part.sinks[1] = (struct live_sink){.is_busy = true, .moved_ms = NOW_MS - STALLED_MS};
    cr_assert(health_is_ready(&view, &words));
}

Test(health, a_sink_at_rest_may_be_still_for_ever) {
    part.sinks[1].moved_ms = 0;
    cr_assert(health_is_ready(&view, &words));
}

Test(health, a_lock_is_the_reason_that_is_told) {
    part.sinks[0] = (struct live_sink){.is_busy = true, .moved_ms = 0};
    snprintf(probes[0].lock, sizeof probes[0].lock, "table public.t is locked");
    cr_assert_not(health_is_ready(&view, &words));
    assert_says("while changes wait; table public.t is locked\n");
}

Test(health, a_supervisor_that_does_not_turn_is_not_live) {
    part.turned_ms = NOW_MS - 60001;
    cr_assert_not(health_is_live(&view, &words));
    assert_says("engine: its supervisor has not looked at its threads for 60 s");
}

Test(health, an_engine_that_opens_its_servers_is_live) {
    part.turned_ms = 0;
    part.phase = LIVE_RETRYING;
    cr_assert(health_is_live(&view, &words));
    part.phase = LIVE_STARTING;
    cr_assert(health_is_live(&view, &words));
    cr_assert_not(health_is_ready(&view, &words));
}

Test(health, a_retry_is_told_with_its_error) {
    part.phase = LIVE_RETRYING;
    part.failure = (struct failure){.exists = true, .attempts = 3};
    error_set(&part.failure.error, ERROR_RETRY, "sink one: the server is down");
    cr_assert_not(health_is_ready(&view, &words));
    assert_says("in 3 attempts: sink one: the server is down");
}

Test(health, a_message_in_another_encoding_is_not_served) {
    snprintf(view.source.answer.error, sizeof view.source.answer.error, "\xff");
    cr_assert(health_is_ready(&view, &words));
    assert_says("a message that is not UTF-8");
}

Test(health, a_source_that_is_silent_is_a_reason) {
    view.source.answer.asked_ms = NOW_MS - STALLED_MS - 1;
    cr_assert_not(health_is_ready(&view, &words));
    assert_says("source: its server has not answered for 10 s");
}

Test(health, a_source_that_refuses_our_question_degrades) {
    snprintf(view.source.answer.error, sizeof view.source.answer.error, "too many clients");
    cr_assert(health_is_ready(&view, &words));
    assert_says("source: it cannot be asked for metrics: too many clients");
}

Test(health, a_slot_that_will_be_lost_degrades) {
    view.source.has_slot = true;
    view.source.sample.end_lsn = 1000000;
    view.source.restart_lsn = 0;
    view.source.safe_bytes = 1000;
    cr_assert(health_is_ready(&view, &words));
    assert_says("source: the slot is lost after 1.0 kB more of WAL");
}

Test(health, dead_letters_and_differences_degrade) {
    probes[0].dead = (struct dead_count){.failed = 2, .waiting = 1};
    probes[1].table_count = 1;
    probes[1].tables[0].differs = true;
    snprintf(probes[1].tables[0].name, PROBE_NAME_MAX, "public.t");
    cr_assert(health_is_ready(&view, &words));
    assert_says("sink one: 2 changes did not fit and 1 wait behind");
    assert_says("sink two: table public.t differs from the source");
}

Test(health, a_copy_has_not_started_and_once_started_it_stays_so) {
    part.copy_runs = true;
    part.copy = (struct progress_total){.tables_done = 1, .table_count = 3};
    cr_assert_not(health_has_started(&view, &words));
    assert_says("copy: 1 of 3 tables");
    view.has_started = true;
    cr_assert(health_has_started(&view, &words));
}

Test(health, with_a_buffer_every_part_must_stream) {
    struct live_facts parts[3] = {part, part, part};
    parts[2].phase = LIVE_ENDED;
    view.parts = parts;
    view.part_count = 3;
    cr_assert_not(health_is_ready(&view, &words));
    assert_says("engine: it has ended\n");
}
