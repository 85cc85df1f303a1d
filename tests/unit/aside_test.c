/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aside_test.c - who waits how long, and who frees what.
 */
#include "cdc/pq/aside.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "cdc/base/clock.h"

enum { DEADLINE_MS = 20000 };

/* A gate that run waits at; it outlives the call, and the context that only points at it does not. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    int runs;
    int releases;
    bool had_signals; /* run's thread takes a signal that the stop flag is for */
};

struct context {
    struct gate *gate;
};

static struct gate gate_of(bool is_open) {
    return (struct gate){
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .is_open = is_open};
}

static void open_gate(struct gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void wait_releases(struct gate *gate, int count) {
    pthread_mutex_lock(&gate->lock);
    while (gate->releases < count)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void run_at_gate(void *argument) {
    struct gate *gate = ((struct context *) argument)->gate;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    pthread_mutex_lock(&gate->lock);
    gate->had_signals = sigismember(&blocked, SIGTERM) == 0 || sigismember(&blocked, SIGINT) == 0;
    while (!gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->runs++;
    pthread_mutex_unlock(&gate->lock);
}

static void release_at_gate(void *argument) {
    struct gate *gate = ((struct context *) argument)->gate;
    free(argument);
    pthread_mutex_lock(&gate->lock);
    gate->releases++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static struct aside_call call_of(struct gate *gate) {
    struct context *context = malloc(sizeof *context);
    cr_assert_not_null(context);
    context->gate = gate;
    return (struct aside_call){.run = run_at_gate, .release = release_at_gate, .context = context};
}

Test(aside, a_call_that_returns_gives_its_context_back) {
    struct gate gate = gate_of(true);
    atomic_bool stop = false;
    const struct aside_call call = call_of(&gate);
    cr_assert_eq(aside_run(&call, &stop, DEADLINE_MS), ASIDE_DONE);
    cr_assert_eq(gate.runs, 1);
    cr_assert_eq(gate.releases, 0, "the context is the caller's");
    cr_assert_not(gate.had_signals, "signals are for the threads that look at the stop flag");
    free(call.context);
}

Test(aside, a_call_that_hangs_is_left_after_its_time) {
    struct gate gate = gate_of(false);
    const struct aside_call call = call_of(&gate);
    const int64_t began_ms = clock_now_ms();
    cr_assert_eq(aside_run(&call, NULL, 100), ASIDE_TIMED_OUT);
    cr_assert_geq(clock_now_ms() - began_ms, 100);
    cr_assert_eq(gate.releases, 0, "it is still in use");
    open_gate(&gate);
    wait_releases(&gate, 1);
    cr_assert_eq(gate.runs, 1);
}

Test(aside, a_stop_ends_the_wait_of_a_call_that_hangs) {
    struct gate gate = gate_of(false);
    atomic_bool stop = true;
    const struct aside_call call = call_of(&gate);
    cr_assert_eq(aside_run(&call, &stop, -1), ASIDE_STOPPED);
    open_gate(&gate);
    wait_releases(&gate, 1);
}

/* Some return just when their time is over: each context is freed once, whoever does it. */
Test(aside, a_call_that_returns_at_the_last_moment_is_freed_once) {
    struct gate gate = gate_of(true);
    int given_back = 0;
    for (int i = 0; i < 300; i++) {
        const struct aside_call call = call_of(&gate);
        if (aside_run(&call, NULL, 0) == ASIDE_DONE) {
            given_back++;
            free(call.context);
        }
    }
    wait_releases(&gate, 300 - given_back);
    cr_assert_eq(gate.runs, 300);
}
