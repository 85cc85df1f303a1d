/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_test.c - rows pass in order, a copier reads ahead within bounds, and neither side waits for ever.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/copy/relay.h"

enum { ROW_BYTES = 100 * 1000, WAIT_MS = 10000 };

static struct relay relay;
static atomic_uint woken;
static atomic_ullong given; /* rows that a copier has passed on */
static const struct sink_config CONFIG = {.pipeline = "p", .name = "s"};
static const atomic_bool STOP;

static void wake(void *context) {
    cr_assert_eq(context, &relay);
    atomic_fetch_add(&woken, 1);
}

struct copying {
    pthread_t thread;
    int rows;
    bool passed; /* the end returned true */
};

static void *copy(void *argument) {
    static const struct table TABLE = {.oid = 7, .schema = "s", .name = "t"};
    struct copying *copying = argument;
    const struct chunk chunk = {.id = 3, .relation_oid = 7, .snapshot = "5:5:"};
    struct sink *sink = relay_sink_new(&relay, &CONFIG, &STOP);
    struct error err = {0};
    char row[ROW_BYTES];
    memset(row, 'x', sizeof row);
    row[sizeof row - 1] = '\n';
    bool good = sink->ops->chunk->begin(sink, &TABLE, &chunk, COPY_FORMAT_TEXT, &err);
    for (int i = 0; i < copying->rows && good; i++) {
        good = sink->ops->copy->data(sink, (struct slice){.data = row, .size = sizeof row}, &err);
        atomic_fetch_add(&given, good);
    }
    copying->passed = good && sink->ops->chunk->end(sink, &TABLE, &chunk, 99, (uint64_t) copying->rows, &err);
    cr_assert(copying->passed || err.kind == ERROR_STOPPED);
    sink->ops->close(sink);
    sink_free(sink);
    return NULL;
}

static void start(struct copying *copying, int rows) {
    copying->rows = rows;
    relay_init(&relay, wake, &relay);
    cr_assert_eq(pthread_create(&copying->thread, NULL, copy, copying), 0);
}

static struct relay_chunk *await(void) {
    struct relay_chunk *chunk = NULL;
    while (!relay_is_ready(&relay))
        continue;
    chunk = relay_next(&relay);
    cr_assert_not_null(chunk);
    return chunk;
}

Test(relay, rows_pass_in_bounds_and_the_end_waits_for_the_commit, .timeout = 60) {
    struct copying copying = {0};
    struct buffer rows;
    size_t bytes = 0;
    start(&copying, 100);
    struct relay_chunk *chunk = await();
    while (atomic_load(&woken) == 0) /* shortly after it is ready */
        continue;
    cr_assert_leq(atomic_load(&given) * ROW_BYTES, RELAY_BYTES, "it reads ahead without bounds");
    buffer_init(&rows, SIZE_MAX);
    for (;;) {
        buffer_reset(&rows);
        cr_assert(relay_take(&relay, chunk, &rows, WAIT_MS));
        if (rows.size == 0)
            break;
        cr_assert_leq(rows.size, RELAY_BYTES);
        cr_assert_eq(rows.size % ROW_BYTES, 0, "a row is cut");
        bytes += rows.size;
    }
    cr_assert_eq(bytes, 100 * ROW_BYTES);
    cr_assert(chunk->is_finished);
    cr_assert_eq(chunk->read_lsn, 99);
    cr_assert_eq(chunk->chunk.id, 3);
    cr_assert_not(copying.passed);
    relay_end(&relay, chunk);
    pthread_join(copying.thread, NULL);
    cr_assert(copying.passed);
    cr_assert_not(relay_is_ready(&relay));
    buffer_release(&rows);
    relay_release(&relay);
}

Test(relay, a_copier_stays_until_the_runner_lets_its_chunk_go, .timeout = 60) {
    struct copying copying = {0};
    struct buffer rows;
    start(&copying, 1);
    struct relay_chunk *chunk = await();
    relay_close(&relay); /* the copier ends, and must not take the chunk with it */
    buffer_init(&rows, SIZE_MAX);
    cr_assert(relay_take(&relay, chunk, &rows, WAIT_MS));
    cr_assert_eq(rows.size, ROW_BYTES);
    relay_let_go(&relay);
    pthread_join(copying.thread, NULL);
    cr_assert_not(copying.passed);
    buffer_release(&rows);
    relay_release(&relay);
}

Test(relay, rows_that_do_not_come_are_not_waited_for_beyond_the_timeout, .timeout = 60) {
    struct relay_chunk silent = {.table = NULL};
    struct buffer rows;
    relay_init(&relay, wake, &relay);
    buffer_init(&rows, SIZE_MAX);
    cr_assert_not(relay_take(&relay, &silent, &rows, 1));
    relay_release(&relay);
}
