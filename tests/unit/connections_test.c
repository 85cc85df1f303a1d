/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connections_test.c - the oldest connection that has not asked makes room; what is being answered stays.
 */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/http/connections.h"

static struct connections connections;
static struct place *places[CONNECTIONS_MAX];
static int ours[CONNECTIONS_MAX], theirs[CONNECTIONS_MAX];

static void open_one(size_t i) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ours[i] = pair[0];
    theirs[i] = pair[1];
    places[i] = connections_open(&connections, pair[0]);
    cr_assert_not_null(places[i]);
    places[i]->since_ms = clock_now_ms() - 1000 + (int64_t) i; /* each a little younger */
}

static void open_some(size_t count) {
    for (size_t i = 0; i < count; i++)
        open_one(i);
}

/* The end of a stream, not merely nothing to read. */
static bool is_shut(size_t i) {
    char byte;
    return read(theirs[i], &byte, 1) == 0;
}

Test(connections, while_there_is_room_none_is_ended) {
    connections_init(&connections);
    open_some(CONNECTIONS_MAX - CONNECTIONS_SPARE);
    for (size_t i = 0; i < CONNECTIONS_MAX - CONNECTIONS_SPARE; i++)
        cr_assert_not(is_shut(i), "%zu", i);
}

Test(connections, the_oldest_that_has_not_asked_makes_room) {
    connections_init(&connections);
    open_some(CONNECTIONS_MAX - CONNECTIONS_SPARE);
    connections_asked(&connections, places[0], false);
    connections_asked(&connections, places[1], true);
    open_one(CONNECTIONS_MAX - CONNECTIONS_SPARE);
    cr_assert(is_shut(2));
    for (size_t i = 0; i <= CONNECTIONS_MAX - CONNECTIONS_SPARE; i++)
        cr_assert(i == 2 || !is_shut(i), "%zu", i);
}

Test(connections, one_that_takes_too_long_is_ended_but_for_a_watcher) {
    connections_init(&connections);
    open_some(3);
    places[0]->since_ms = places[1]->since_ms = clock_now_ms() - REQUEST_MAX_MS - 1;
    connections_asked(&connections, places[1], true);
    connections_end_late(&connections);
    cr_assert(is_shut(0));
    cr_assert_not(is_shut(1));
    cr_assert_not(is_shut(2));
    connections_answered(&connections, places[1]);
    connections_end_late(&connections);
    cr_assert_not(is_shut(1), "its time begins anew");
}

Test(connections, a_place_is_free_again_when_it_is_closed) {
    connections_init(&connections);
    for (int round = 0; round < 3; round++) {
        open_some(CONNECTIONS_MAX);
        cr_assert_null(connections_open(&connections, 0));
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            connections_close(&connections, places[i]);
            close(ours[i]);
            close(theirs[i]);
        }
    }
}
