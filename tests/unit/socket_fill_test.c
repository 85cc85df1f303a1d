/* SPDX-License-Identifier: Apache-2.0 */
#include "cdc/readers/slot/socket_fill.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MUCH = 1 << 20, LITTLE = 100, NOW_MS = 5000 };

struct pair {
    int reader;
    int writer;
};

static void pair_close(struct pair *pair) {
    close(pair->reader);
    close(pair->writer);
}

static struct pair tcp_pair(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct pair pair = {.reader = socket(AF_INET, SOCK_STREAM, 0)};
    cr_assert_eq(bind(listener, (struct sockaddr *) &address, sizeof address), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *) &address, &size), 0);
    cr_assert_eq(connect(pair.reader, (struct sockaddr *) &address, sizeof address), 0);
    pair.writer = accept(listener, NULL, NULL);
    cr_assert_geq(pair.writer, 0);
    close(listener);
    return pair;
}

static struct pair unix_pair(void) {
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    return (struct pair){.reader = fds[0], .writer = fds[1]};
}

static void note(struct socket_fill *fill, size_t bytes, bool blocked, bool behind) {
    const struct socket_reading reading = {
        .bytes = bytes, .blocked = blocked, .behind = behind, .wanted = true, .now_ms = NOW_MS};
    socket_fill_note(fill, &reading);
}

static int wakes_at(int fd) {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, &size), 0);
    return bytes;
}

Test(socket_fill, an_idle_socket_wakes_at_the_first_byte) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    cr_assert_eq(wakes_at(pair.reader), 1);
    note(&fill, LITTLE, false, true);
    cr_assert_not(fill.fills);
    cr_assert_eq(wakes_at(pair.reader), 1);
    cr_assert_eq(socket_fill_events(&fill, NOW_MS), POLLIN);
    pair_close(&pair);
}

Test(socket_fill, flowing_data_is_waited_for_in_bulk_but_briefly) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    note(&fill, MUCH, false, false);
    cr_assert_gt(wakes_at(pair.reader), 1);
    cr_assert_eq(socket_fill_events(&fill, NOW_MS), POLLIN);
    cr_assert_eq(socket_fill_wait_ms(&fill, NOW_MS), 1);
    note(&fill, 0, true, false);
    cr_assert(fill.fills, "no room is no sign that nothing flows");
    note(&fill, LITTLE, false, false);
    cr_assert_eq(wakes_at(pair.reader), 1);
    pair_close(&pair);
}

Test(socket_fill, a_local_backlog_is_read_in_bursts) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    note(&fill, MUCH, false, true);
    cr_assert_eq(socket_fill_events(&fill, NOW_MS), 0);
    cr_assert_gt(socket_fill_wait_ms(&fill, NOW_MS), 1);
    note(&fill, MUCH, false, false);
    cr_assert_eq(socket_fill_events(&fill, NOW_MS), POLLIN, "what is new does not wait");
    note(&fill, MUCH, false, true);
    socket_fill_end(&fill);
    cr_assert_eq(socket_fill_events(&fill, NOW_MS), POLLIN);
    cr_assert_eq(wakes_at(pair.reader), 1);
    pair_close(&pair);
}

Test(socket_fill, the_rest_follows_what_a_burst_brings) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    note(&fill, MUCH, false, true);
    int first_ms = socket_fill_wait_ms(&fill, NOW_MS);
    for (int i = 0; i < 100; i++)
        note(&fill, 8192, false, true);
    int slow_ms = socket_fill_wait_ms(&fill, NOW_MS);
    cr_assert_gt(slow_ms, first_ms);
    cr_assert_leq(slow_ms, 50, "rests for %d ms", slow_ms);
    for (int i = 0; i < 100; i++)
        note(&fill, MUCH, false, true);
    cr_assert_lt(socket_fill_wait_ms(&fill, NOW_MS), slow_ms);
    cr_assert_gt(socket_fill_wait_ms(&fill, NOW_MS), 0);
    pair_close(&pair);
}

Test(socket_fill, a_unix_socket_never_rests) {
    struct pair pair = unix_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    note(&fill, MUCH, false, true);
    cr_assert_eq(socket_fill_events(&fill, NOW_MS), POLLIN);
    pair_close(&pair);
}

/*
 * Runners, the pool and confirmations all wake the stream. Once each such wake-up read what had come in the
 * rest so far: with the null sink a backlog of one-row transactions took twice the time, in thousands of tiny
 * batches.
 */
Test(socket_fill, whoever_wakes_the_stream_in_a_rest_does_not_end_it) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    cr_assert_not(socket_fill_rests(&fill, NOW_MS));
    note(&fill, MUCH, false, true);
    int rest_ms = socket_fill_wait_ms(&fill, NOW_MS);
    cr_assert(socket_fill_rests(&fill, NOW_MS + rest_ms - 1));
    cr_assert_eq(socket_fill_wait_ms(&fill, NOW_MS + rest_ms - 1), 1);
    cr_assert_not(socket_fill_rests(&fill, NOW_MS + rest_ms));
    cr_assert_eq(socket_fill_events(&fill, NOW_MS + rest_ms), POLLIN);
    pair_close(&pair);
}

Test(socket_fill, no_room_is_no_reason_to_rest_once_there_is) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    note(&fill, MUCH, true, true);
    cr_assert_not(socket_fill_rests(&fill, NOW_MS));
    pair_close(&pair);
}

static void note_wanted(struct socket_fill *fill, size_t bytes, bool in_transaction, int64_t now_ms) {
    socket_fill_note(fill,
                     &(struct socket_reading){
                         .bytes = bytes, .wanted = true, .in_transaction = in_transaction, .now_ms = now_ms});
}

/* walsender sends each message by itself: a transaction of one row woke the stream three times. */
Test(socket_fill, a_small_transaction_wakes_the_stream_once) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    socket_fill_note_transaction(&fill, 300);
    socket_fill_note_transaction(&fill, 231);
    socket_fill_note_transaction(&fill, 500);
    note_wanted(&fill, LITTLE, false, NOW_MS);
    cr_assert_eq(wakes_at(pair.reader), 231);
    cr_assert_eq(socket_fill_wait_ms(&fill, NOW_MS), 1, "a smaller one is looked for");
    note_wanted(&fill, LITTLE, true, NOW_MS);
    cr_assert_eq(wakes_at(pair.reader), 1, "the rest of one may be small");
    note_wanted(&fill, 0, false, NOW_MS + 1);
    cr_assert_eq(wakes_at(pair.reader), 231, "a runner that woke the stream does not change it");
    note_wanted(&fill, 0, false, NOW_MS + 100);
    cr_assert_eq(wakes_at(pair.reader), 1, "and in a pause nobody looks");
    pair_close(&pair);
}

Test(socket_fill, transactions_that_grow_are_noticed) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    socket_fill_note_transaction(&fill, 200);
    for (int i = 0; i < 1000; i++)
        socket_fill_note_transaction(&fill, 5000);
    note_wanted(&fill, LITTLE, false, NOW_MS);
    cr_assert_eq(wakes_at(pair.reader), 5000);
    for (int i = 0; i < 1000; i++)
        socket_fill_note_transaction(&fill, MUCH);
    note_wanted(&fill, LITTLE, false, NOW_MS);
    cr_assert_lt(wakes_at(pair.reader), MUCH, "no more than is read at once");
    pair_close(&pair);
}

/*
 * At 8,000 small transactions a second the stream was woken for every message, the server could not keep up,
 * and lag grew to a second with one transaction in each batch: nobody had use for them so soon, the runner
 * was busy.
 */
Test(socket_fill, what_nobody_waits_for_does_not_wake_the_stream_message_by_message) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    socket_fill_note(&fill, &(struct socket_reading){.bytes = LITTLE, .wanted = false, .now_ms = NOW_MS});
    cr_assert_gt(wakes_at(pair.reader), 1);
    cr_assert_eq(socket_fill_wait_ms(&fill, NOW_MS), 1, "but it is looked for");
    cr_assert_not(fill.fills, "so that it is handed on at once when somebody waits");
    socket_fill_note(&fill, &(struct socket_reading){.bytes = 0, .wanted = false, .now_ms = NOW_MS});
    cr_assert_eq(wakes_at(pair.reader), 1, "nothing came, so nothing flows");
    socket_fill_note(&fill, &(struct socket_reading){.bytes = LITTLE, .wanted = true, .now_ms = NOW_MS});
    cr_assert_eq(wakes_at(pair.reader), 1);
    pair_close(&pair);
}
