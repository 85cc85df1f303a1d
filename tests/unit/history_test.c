/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_test.c - a point a second: rates, the numbers of points, what makes room, and a lag that grows.
 */
#include <criterion/criterion.h>

#include "cdc/http/history.h"

static struct config_sink sinks[] = {{.sink = {.name = "one"}}};
static struct config config = {.sinks = sinks, .sink_count = 1};
static struct live_facts part;
static struct sink_probe_facts probe;
static struct view view;
static struct history history;
static struct history_point points[HISTORY_POINTS_MAX];

static void prepare(void) {
    struct error err = {0};
    part = (struct live_facts){.exists = true, .phase = LIVE_STREAMING, .sink_count = 1};
    view = (struct view){.config = &config,
                         .now_ms = 1000,
                         .unix_us = INT64_C(1000000000000),
                         .parts = &part,
                         .part_count = 1,
                         .sinks = &probe};
    cr_assert(history_init(&history, 1, &err));
}

static void release(void) {
    history_release(&history);
}

TestSuite(history, .init = prepare, .fini = release);

/* A second later, so many rows further, so late. */
static void pass(uint64_t rows, int64_t lag_ms) {
    view.now_ms += 1000;
    view.unix_us += 1000000;
    part.activity.sinks[0].changes += rows;
    part.activity.sinks[0].caught_up_us = lag_ms < 0 ? 0 : view.unix_us - lag_ms * 1000;
    history_add(&history, &view);
}

Test(history, the_first_point_has_no_rate_and_the_next_has_that_of_its_second) {
    uint64_t first;
    pass(5000, 0);
    pass(70, 0);
    part.sinks[0].rows_copied = 30;
    pass(0, 0);
    cr_assert_eq(history_read(&history, 0, HISTORY_POINTS_MAX, points, &first), 3);
    cr_assert_eq(first, 0);
    cr_assert_eq(points[0].rows_per_s, -1);
    cr_assert_eq(points[1].rows_per_s, 70);
    cr_assert_eq(points[2].rows_per_s, 30);
}

Test(history, counts_that_begin_anew_are_no_rate) {
    uint64_t first;
    pass(5000, 0);
    part.activity.sinks[0].changes = 0;
    pass(10, 0);
    cr_assert_eq(history_read(&history, 0, 1, points, &first), 1);
    cr_assert_eq(first, 1);
    cr_assert_eq(points[0].rows_per_s, 0);
}

Test(history, the_oldest_points_make_room) {
    uint64_t first;
    for (int i = 0; i < HISTORY_POINTS_MAX + 10; i++)
        pass((uint64_t) i, 0);
    cr_assert_eq(history_read(&history, 0, HISTORY_POINTS_MAX, points, &first), HISTORY_POINTS_MAX);
    cr_assert_eq(first, 10);
    cr_assert_eq(points[0].rows_per_s, 10);
    cr_assert_eq(points[HISTORY_POINTS_MAX - 1].rows_per_s, HISTORY_POINTS_MAX + 9);
}

Test(history, a_lag_that_rises_with_the_clock_grows_and_one_that_stays_does_not) {
    for (int i = 0; i < 40; i++)
        pass(0, 60000);
    cr_assert_not(history_grows(&history, 0));
    for (int i = 0; i < 40; i++)
        pass(0, 60000 + i * 1000);
    cr_assert(history_grows(&history, 0));
    for (int i = 0; i < 40; i++)
        pass(0, 0);
    cr_assert_not(history_grows(&history, 0));
}
