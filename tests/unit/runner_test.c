/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_test.c - a runner over a sink that fails at any of its calls, in every way that the contract allows.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc/engine/runner.h"

#define DEADLINE_MS 60000

enum { TRANSACTIONS = 5, FIRST_LSN = 100 };

/* ---- the sink ---- */

enum call { CALL_OPEN, CALL_WRITE, CALL_COMMIT, CALL_NONE };

struct faulty_sink {
    struct sink sink;
    enum call fails_at;
    unsigned int fails_after; /* so many calls of that kind succeed */
    enum error_kind kind;
    unsigned int calls[CALL_NONE];
    unsigned int closes;
    struct position written;   /* the last Commit that it got */
    struct position committed; /* what a crash leaves */
    bool is_late;              /* commits are durable only when it is asked, or told to wait */
    const struct pool *pool;
    const struct batch *promised; /* its changes stay valid until the next commit or close */
};

static const struct batch *batch_of(const struct pool *pool, const struct change *changes) {
    for (size_t i = 0; i < POOL_BATCHES; i++)
        if (changes >= pool->batches[i].changes && changes < pool->batches[i].changes + BATCH_CHANGES_MAX)
            return &pool->batches[i];
    return NULL;
}

static void expect_promise_kept(struct faulty_sink *faulty) {
    if (faulty->promised != NULL)
        cr_assert_eq(faulty->promised->state, BATCH_SEALED, "changes were released before their commit");
    faulty->promised = NULL;
}

static bool fail(struct faulty_sink *faulty, enum call call, struct error *err) {
    cr_assert_eq(faulty->closes, 0, "a call after close");
    if (faulty->fails_at != call || faulty->calls[call]++ < faulty->fails_after)
        return true;
    return error_set(err, faulty->kind, "the sink fails");
}

static bool faulty_open(struct sink *sink, struct position *ret_position, struct error *err) {
    struct faulty_sink *faulty = (struct faulty_sink *) sink;
    *ret_position = faulty->committed;
    return fail(faulty, CALL_OPEN, err);
}

static bool faulty_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct faulty_sink *faulty = (struct faulty_sink *) sink;
    faulty->promised = span->until != NULL ? batch_of(faulty->pool, span->changes) : NULL;
    if (!fail(faulty, CALL_WRITE, err))
        return false;
    for (size_t i = span->present; i < span->count; i++)
        if (span->changes[i].kind == CHANGE_COMMIT) {
            cr_assert_gt(span->changes[i].end_lsn, faulty->written.end_lsn, "a transaction came twice");
            faulty->written.end_lsn = span->changes[i].end_lsn;
        }
    return true;
}

static bool faulty_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                          struct position *ret_durable, struct error *err) {
    struct faulty_sink *faulty = (struct faulty_sink *) sink;
    expect_promise_kept(faulty);
    if (!fail(faulty, CALL_COMMIT, err))
        return false;
    if (wait == COMMIT_VISIBLE && faulty->is_late) {
        *ret_durable = faulty->committed;
        return true;
    }
    if (wait != COMMIT_ASK)
        cr_assert_geq(position->end_lsn, faulty->written.end_lsn, "a commit in front of what was written");
    if (faulty->written.end_lsn > faulty->committed.end_lsn)
        faulty->committed.end_lsn = faulty->written.end_lsn;
    *ret_durable = faulty->committed;
    return true;
}

static void faulty_close(struct sink *sink) {
    struct faulty_sink *faulty = (struct faulty_sink *) sink;
    expect_promise_kept(faulty);
    faulty->closes++;
}

static const struct sink_ops FAULTY = {
    .type = "faulty",
    .size = sizeof(struct faulty_sink),
    .open = faulty_open,
    .write = faulty_write,
    .commit = faulty_commit,
    .close = faulty_close,
};

/* ---- what it gets ---- */

static struct transaction transactions[TRANSACTIONS];

/* A transaction without rows in a batch of its own, from FIRST_LSN on. */
static struct batch *transaction_batch(struct pool *pool, size_t number) {
    struct batch *batch = pool_take(pool);
    struct transaction *transaction = &transactions[number];
    const lsn_t commit_lsn = FIRST_LSN + 10 * number;
    cr_assert_not_null(batch);
    *transaction = (struct transaction){.commit_lsn = commit_lsn};
    const struct change begin = {.kind = CHANGE_BEGIN, .transaction = transaction, .lsn = commit_lsn};
    const struct change commit = {
        .kind = CHANGE_COMMIT, .transaction = transaction, .lsn = commit_lsn, .end_lsn = commit_lsn + 5};
    batch_append(batch, &begin);
    batch_append(batch, &commit);
    batch_seal(batch, 1);
    return batch;
}

static void wait_event(int event_fd) {
    struct pollfd fd = {.fd = event_fd, .events = POLLIN};
    eventfd_t count;
    cr_assert_eq(poll(&fd, 1, DEADLINE_MS), 1);
    eventfd_read(event_fd, &count);
}

static bool has_ended(struct runner *runner) {
    const enum runner_state state = runner_state(runner);
    return state == RUNNER_FAILED || state == RUNNER_STOPPED;
}

/* One life of a runner: opens, runs all batches, stops. Returns its last state. */
static enum runner_state live(struct faulty_sink *faulty, struct position *ret_position,
                              struct error *ret_error) {
    struct runner runner;
    struct sink_metrics metrics = {0};
    struct pool pool;
    struct error err = {0};
    const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert(pool_init(&pool, wake_fd, &err), "%s", err.text);
    faulty->pool = &pool;
    cr_assert(runner_start(&runner, &faulty->sink, &metrics, NULL, event_fd, wake_fd, 0, &err), "%s",
              err.text);
    while (runner_state(&runner) != RUNNER_OPENED && !has_ended(&runner))
        wait_event(event_fd);
    if (!has_ended(&runner)) {
        runner_order_run(
            &runner, &(const struct runner_run){.position = {.end_lsn = 1, .system_id = 1, .timeline = 1}});
        while (runner_has_order(&runner))
            wait_event(event_fd);
        for (size_t i = 0; i < TRANSACTIONS; i++)
            queue_push(&runner.queue, transaction_batch(&pool, i));
        runner_stop(&runner, false);
    }
    while (!has_ended(&runner))
        wait_event(event_fd);
    const enum runner_state state = runner_state(&runner);
    *ret_position = runner_position(&runner);
    runner_join(&runner);
    *ret_error = runner.error;
    pool_release(&pool);
    close(event_fd);
    close(wake_fd);
    return state;
}

static const struct sink_config CONFIG = {.pipeline = "p", .name = "s"};

static void expect_failure(enum call call, unsigned int after, enum error_kind kind, bool is_late) {
    struct faulty_sink faulty = {.sink = {.ops = &FAULTY, .config = &CONFIG},
                                 .fails_at = call,
                                 .fails_after = after,
                                 .kind = kind,
                                 .is_late = is_late};
    struct position position = {0};
    struct error error = {0};
    const enum runner_state state = live(&faulty, &position, &error);
    cr_assert_eq(faulty.closes, 1, "closed %u times", faulty.closes);
    cr_assert_leq(position.end_lsn, faulty.committed.end_lsn > 1 ? faulty.committed.end_lsn : 1,
                  "what a crash of the sink takes was published");
    if (faulty.calls[call] <= after) {
        cr_assert_eq(state, RUNNER_STOPPED, "%s", error.text);
        return;
    }
    cr_assert_eq(state, RUNNER_FAILED);
    cr_assert_eq(error.kind, kind);
}

Test(runner, a_sink_that_fails_is_closed_once_and_nothing_is_published_that_it_lacks) {
    static const enum error_kind KINDS[] = {ERROR_RETRY,  ERROR_NEEDS_TEXT, ERROR_CONFIG,
                                            ERROR_REFUSE, ERROR_DATA,       ERROR_SYSTEM};
    for (size_t kind = 0; kind < sizeof KINDS / sizeof *KINDS; kind++)
        for (enum call call = CALL_OPEN; call < CALL_NONE; call++)
            for (unsigned int after = 0; after < TRANSACTIONS + 2; after++)
                for (int is_late = 0; is_late < 2; is_late++)
                    expect_failure(call, after, KINDS[kind], is_late != 0);
}

Test(runner, a_sink_that_works_has_everything_at_the_end) {
    for (int is_late = 0; is_late < 2; is_late++) {
        struct faulty_sink faulty = {
            .sink = {.ops = &FAULTY, .config = &CONFIG}, .fails_at = CALL_NONE, .is_late = is_late != 0};
        struct position position = {0};
        struct error error = {0};
        cr_assert_eq(live(&faulty, &position, &error), RUNNER_STOPPED, "%s", error.text);
        cr_assert_eq(position.end_lsn, transactions[TRANSACTIONS - 1].commit_lsn + 5);
        cr_assert_eq(faulty.committed.end_lsn, position.end_lsn);
    }
}
