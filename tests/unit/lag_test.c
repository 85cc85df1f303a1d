/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag_test.c - when a sink has everything, at each place where it may not.
 */
#include <criterion/criterion.h>

#include "cdc/http/lag.h"

static struct live_facts parts[2];

static void prepare(void) {
    for (int i = 0; i < 2; i++) {
        parts[i] = (struct live_facts){.phase = LIVE_STREAMING, .received_lsn = 100};
        parts[i].sinks[0] = (struct live_sink){.written_lsn = 50, .visible_lsn = 50, .durable_lsn = 50};
    }
}

TestSuite(lag, .init = prepare);

Test(lag, what_is_durable_is_there) {
    cr_assert(lag_has(parts, 1, 0, 50));
}

Test(lag, wal_that_the_stream_has_passed_with_nothing_on_its_way_is_no_lag) {
    cr_assert(lag_has(parts, 1, 0, 100));
    cr_assert_not(lag_has(parts, 1, 0, 101));
}

Test(lag, what_is_on_its_way_is_lag) {
    parts[0].sinks[0].is_busy = true;
    cr_assert_not(lag_has(parts, 1, 0, 100));
    parts[0].sinks[0].is_busy = false;
    parts[0].sinks[0].is_open = true;
    cr_assert_not(lag_has(parts, 1, 0, 100));
    parts[0].sinks[0].is_open = false;
    parts[0].sinks[0].written_lsn = 60;
    cr_assert_not(lag_has(parts, 1, 0, 100));
    cr_assert(lag_has(parts, 1, 0, 50));
}

Test(lag, a_stream_that_does_not_run_has_passed_nothing) {
    parts[0].phase = LIVE_RETRYING;
    cr_assert_not(lag_has(parts, 1, 0, 100));
}

Test(lag, behind_a_buffer_both_parts_count) {
    parts[0].sinks[0] = (struct live_sink){.written_lsn = 90, .visible_lsn = 90, .durable_lsn = 90};
    parts[1].received_lsn = 90;
    cr_assert(lag_has(parts, 2, 0, 100));
    parts[1].received_lsn = 89;
    cr_assert_not(lag_has(parts, 2, 0, 100));
    parts[1].received_lsn = 90;
    parts[0].sinks[0].is_busy = true;
    cr_assert_not(lag_has(parts, 2, 0, 100));
}
