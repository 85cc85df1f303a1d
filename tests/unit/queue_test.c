/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_test.c - batches between two threads: order, closing, hunger, and references coming home to the pool.
 */
#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc/engine/queue.h"

struct rig {
    int wake_fd;
    struct pool pool;
    struct queue queue;
};

static struct rig *new_rig(void) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct error err;
    rig->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert(pool_init(&rig->pool, rig->wake_fd, &err), "%s", err.text);
    queue_init(&rig->queue, rig->wake_fd);
    return rig;
}

static void free_rig(struct rig **rig) {
    queue_release(&(*rig)->queue);
    pool_release(&(*rig)->pool);
    close((*rig)->wake_fd);
    free(*rig);
}

static bool woken(const struct rig *rig) {
    eventfd_t count;
    return eventfd_read(rig->wake_fd, &count) == 0;
}

static struct batch *sealed(struct rig *rig, lsn_t mark, unsigned references) {
    struct batch *batch = pool_take(&rig->pool);
    cr_assert_not_null(batch);
    batch->caught_up_lsn = mark;
    batch_seal(batch, references);
    return batch;
}

Test(queue, batches_leave_in_the_order_they_came) {
    AUTO(free_rig) struct rig *rig = new_rig();
    for (lsn_t mark = 1; mark <= 3; mark++)
        queue_push(&rig->queue, sealed(rig, mark, 1));
    for (lsn_t mark = 1; mark <= 3; mark++) {
        struct batch *batch = queue_pop(&rig->queue, 0);
        cr_assert_eq(batch->caught_up_lsn, mark);
        batch_unref(batch);
    }
}

Test(queue, what_was_pushed_before_the_close_still_comes) {
    AUTO(free_rig) struct rig *rig = new_rig();
    queue_push(&rig->queue, sealed(rig, 1, 1));
    queue_close(&rig->queue);
    cr_assert_not(queue_is_finished(&rig->queue));
    struct batch *batch = queue_pop(&rig->queue, 60000);
    cr_assert_not_null(batch);
    batch_unref(batch);
    cr_assert(queue_is_finished(&rig->queue));
    cr_assert_null(queue_pop(&rig->queue, 60000), "a closed queue does not wait");
}

Test(queue, an_empty_queue_makes_its_runner_hungry_and_wakes_the_stream) {
    AUTO(free_rig) struct rig *rig = new_rig();
    cr_assert_not(queue_is_hungry(&rig->queue));
    cr_assert_null(queue_pop(&rig->queue, 1));
    cr_assert(queue_is_hungry(&rig->queue));
    cr_assert(woken(rig));
    queue_push(&rig->queue, sealed(rig, 1, 1));
    cr_assert_not(queue_is_hungry(&rig->queue), "a batch is food");
}

Test(batch, comes_home_with_its_last_reference) {
    AUTO(free_rig) struct rig *rig = new_rig();
    struct batch *batches[POOL_BATCHES];
    for (size_t i = 0; i < POOL_BATCHES; i++)
        batches[i] = sealed(rig, 1, 2);
    cr_assert_null(pool_take(&rig->pool), "all are in use");
    batch_unref(batches[0]);
    cr_assert_null(pool_take(&rig->pool), "another runner holds it still");
    cr_assert_not(woken(rig));
    batch_unref(batches[0]);
    cr_assert(woken(rig), "the stream may be waiting for it");
    struct batch *again = pool_take(&rig->pool);
    cr_assert_eq(again, batches[0]);
    cr_assert(batch_is_empty(again));
    batch_discard(again);
    for (size_t i = 1; i < POOL_BATCHES; i++) {
        batch_unref(batches[i]);
        batch_unref(batches[i]);
    }
}

Test(batch, that_nobody_waits_for_wakes_nobody) {
    AUTO(free_rig) struct rig *rig = new_rig();
    batch_unref(sealed(rig, 1, 1));
    cr_assert_not(woken(rig));
}

Test(batch, knows_how_many_of_its_changes_are_of_whole_transactions) {
    AUTO(free_rig) struct rig *rig = new_rig();
    struct batch *batch = pool_take(&rig->pool);
    const struct transaction transaction = {.commit_lsn = 7};
    const struct change begin = {.kind = CHANGE_BEGIN, .transaction = &transaction};
    const struct change commit = {.kind = CHANGE_COMMIT, .transaction = &transaction, .end_lsn = 8};
    batch_append(batch, &begin);
    cr_assert_eq(batch->whole_count, 0);
    batch_append(batch, &commit);
    batch_append(batch, &begin);
    cr_assert_eq(batch->whole_count, 2);
    cr_assert_eq(batch->change_count, 3);
    batch_discard(batch);
}
