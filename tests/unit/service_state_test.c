/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_state_test.c - what a service manager is told of parts in every phase.
 */
#include "cdc/service/service_state.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct live_facts parts[2];

static struct live_facts in_phase(enum live_phase phase) {
    return (struct live_facts){.exists = true, .phase = phase};
}

static const char *sentence(size_t count) {
    static char text[SERVICE_SENTENCE_MAX];
    service_sentence(parts, count, INT64_C(10000000), text);
    return text;
}

Test(service_state, ready_when_every_part_copies_or_streams) {
    parts[0] = in_phase(LIVE_STREAMING);
    parts[1] = in_phase(LIVE_STARTING);
    cr_assert(service_is_ready(parts, 1));
    cr_assert_not(service_is_ready(parts, 2));
    parts[1] = in_phase(LIVE_COPYING);
    cr_assert(service_is_ready(parts, 2));
    parts[1] = in_phase(LIVE_RETRYING);
    cr_assert_not(service_is_ready(parts, 2));
    parts[1] = (struct live_facts){0};
    cr_assert_not(service_is_ready(parts, 2));
}

Test(service_state, alive_while_the_supervisor_of_a_stream_turns) {
    parts[0] = in_phase(LIVE_STREAMING);
    parts[0].turned_ms = 1000;
    cr_assert(service_is_alive(parts, 1, 61000, LIVE_QUIET_MAX_MS));
    cr_assert_not(service_is_alive(parts, 1, 61001, LIVE_QUIET_MAX_MS));
    parts[0].phase = LIVE_RETRYING;
    cr_assert(service_is_alive(parts, 1, 999999, LIVE_QUIET_MAX_MS), "nothing streams");
}

Test(service_state, the_sentence_says_position_and_distance) {
    parts[0] = in_phase(LIVE_STREAMING);
    cr_assert_str_eq(sentence(1), "streaming, at no position yet");
    parts[0].saved_lsn = 0x16B3748;
    parts[0].received_lsn = 0x16B3748;
    parts[0].copy_runs = true;
    cr_assert(strstr(sentence(1), "every sink has 0/16B3748, of what was received it lacks 0 ") != NULL, "%s",
              sentence(1));
    cr_assert(strstr(sentence(1), ", and a copy goes on") != NULL, "%s", sentence(1));
}

Test(service_state, the_worst_part_speaks_on_one_line) {
    parts[0] = in_phase(LIVE_STREAMING);
    parts[1] = in_phase(LIVE_RETRYING);
    parts[1].failure = (struct failure){.exists = true, .attempts = 3, .since_us = 4000000};
    snprintf(parts[1].failure.error.text, sizeof parts[1].failure.error.text, "gone\nREADY=1 \xff");
    cr_assert_str_eq(sentence(2), "retrying, for 6.0 s, in 3 attempts: gone\\nREADY=1 \\xff");
}

Test(service_state, a_long_error_is_cut) {
    parts[0] = in_phase(LIVE_RETRYING);
    parts[0].failure.exists = true;
    memset(parts[0].failure.error.text, 'x', sizeof parts[0].failure.error.text - 1);
    cr_assert_lt(strlen(sentence(1)), SERVICE_SENTENCE_MAX);
}
