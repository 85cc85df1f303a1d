/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence_test.c - a peer that waits is no dead peer.
 *
 * TCP_USER_TIMEOUT ended a session whose server waited for a lock and did not read: it counts a window that
 * stays closed like an acknowledgement that does not come.
 */
#include <criterion/criterion.h>

#include "cdc/pq/silence.h"

Test(silence, a_peer_that_acknowledges_nothing_is_dead) {
    cr_assert(silence_is_of_the_dead(&(struct tcp_info){.tcpi_retransmits = 5, .tcpi_last_ack_recv = 30000}));
    cr_assert(silence_is_of_the_dead(&(struct tcp_info){.tcpi_probes = 3, .tcpi_last_ack_recv = 40000}),
              "a closed window is asked about, and nobody answers");
}

Test(silence, a_peer_that_is_only_slow_is_not) {
    cr_assert_not(silence_is_of_the_dead(&(struct tcp_info){.tcpi_last_ack_recv = 3600000}),
                  "nothing is owed: the server is at work on our question");
    cr_assert_not(silence_is_of_the_dead(&(struct tcp_info){.tcpi_probes = 1, .tcpi_last_ack_recv = 110000}),
                  "the last question is on its way, the one before was answered");
    cr_assert_not(
        silence_is_of_the_dead(&(struct tcp_info){.tcpi_retransmits = 5, .tcpi_last_ack_recv = 29999}),
        "not yet");
}
