/* SPDX-License-Identifier: Apache-2.0 */
#include "cdc/socket_fill.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MUCH = 1 << 20, LITTLE = 100 };

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
    socket_fill_note(&fill, LITTLE, false, true);
    cr_assert_not(fill.fills);
    cr_assert_eq(wakes_at(pair.reader), 1);
    cr_assert_eq(socket_fill_events(&fill), POLLIN);
    pair_close(&pair);
}

Test(socket_fill, flowing_data_is_waited_for_in_bulk_but_briefly) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    socket_fill_note(&fill, MUCH, false, false);
    cr_assert_gt(wakes_at(pair.reader), 1);
    cr_assert_eq(socket_fill_events(&fill), POLLIN);
    cr_assert_eq(socket_fill_wait_ms(&fill), 1);
    socket_fill_note(&fill, 0, true, false);
    cr_assert(fill.fills, "no room is no sign that nothing flows");
    socket_fill_note(&fill, LITTLE, false, false);
    cr_assert_eq(wakes_at(pair.reader), 1);
    pair_close(&pair);
}

Test(socket_fill, a_local_backlog_is_read_in_bursts) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    socket_fill_note(&fill, MUCH, false, true);
    cr_assert_eq(socket_fill_events(&fill), 0);
    cr_assert_gt(socket_fill_wait_ms(&fill), 1);
    socket_fill_note(&fill, MUCH, false, false);
    cr_assert_eq(socket_fill_events(&fill), POLLIN, "what is new does not wait");
    socket_fill_note(&fill, MUCH, false, true);
    socket_fill_end(&fill);
    cr_assert_eq(socket_fill_events(&fill), POLLIN);
    cr_assert_eq(wakes_at(pair.reader), 1);
    pair_close(&pair);
}

Test(socket_fill, the_rest_follows_what_a_burst_brings) {
    struct pair pair = tcp_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    socket_fill_note(&fill, MUCH, false, true);
    int first_ms = socket_fill_wait_ms(&fill);
    for (int i = 0; i < 100; i++)
        socket_fill_note(&fill, 8192, false, true);
    int slow_ms = socket_fill_wait_ms(&fill);
    cr_assert_gt(slow_ms, first_ms);
    cr_assert_leq(slow_ms, 50, "rests for %d ms", slow_ms);
    for (int i = 0; i < 100; i++)
        socket_fill_note(&fill, MUCH, false, true);
    cr_assert_lt(socket_fill_wait_ms(&fill), slow_ms);
    cr_assert_gt(socket_fill_wait_ms(&fill), 0);
    pair_close(&pair);
}

Test(socket_fill, a_unix_socket_never_rests) {
    struct pair pair = unix_pair();
    struct socket_fill fill;
    socket_fill_init(&fill, pair.reader);
    socket_fill_note(&fill, MUCH, false, true);
    cr_assert_eq(socket_fill_events(&fill), POLLIN);
    pair_close(&pair);
}
