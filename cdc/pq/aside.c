/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aside.c - a detached thread and the thread that waits for it; the last of them frees what they share.
 */
#include "cdc/pq/aside.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "cdc/base/clock.h"

enum { STEP_MS = 50 }; /* how soon the stop flag is noticed */

struct job {
    struct aside_call call;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;      /* under lock: run has returned */
    bool abandoned; /* under lock: no thread waits for run any more */
};

static void job_free(struct job *job) {
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static void *job_main(void *argument) {
    struct job *job = argument;
    job->call.run(job->call.context);
    pthread_mutex_lock(&job->lock);
    job->done = true;
    const bool abandoned = job->abandoned;
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->lock);
    if (abandoned) {
        job->call.release(job->call.context);
        job_free(job);
    }
    return NULL;
}

/* Signals are for the threads that look at the stop flag. */
static bool job_start(struct job *job) {
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&thread, &detached, job_main, job) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return started;
}

static struct job *job_new(const struct aside_call *call) {
    struct job *job = calloc(1, sizeof *job);
    pthread_condattr_t monotonic;
    if (job == NULL)
        return NULL;
    job->call = *call;
    pthread_mutex_init(&job->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&job->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return job;
}

/* Under the job's lock. */
static void wait_step(struct job *job) {
    const struct timespec until = clock_deadline(STEP_MS);
    pthread_cond_timedwait(&job->changed, &job->lock, &until);
}

/* Under the job's lock. */
static enum aside_end wait_end(struct job *job, const atomic_bool *stop, int64_t timeout_ms) {
    const int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : clock_now_ms() + timeout_ms;
    while (!job->done) {
        if (stop != NULL && atomic_load_explicit(stop, memory_order_relaxed))
            return ASIDE_STOPPED;
        if (clock_now_ms() >= deadline_ms)
            return ASIDE_TIMED_OUT;
        wait_step(job);
    }
    return ASIDE_DONE;
}

enum aside_end aside_run(const struct aside_call *call, const atomic_bool *stop, int64_t timeout_ms) {
    struct job *job = job_new(call);
    if (job == NULL)
        return ASIDE_FAILED;
    if (!job_start(job)) {
        job_free(job);
        return ASIDE_FAILED;
    }
    pthread_mutex_lock(&job->lock);
    const enum aside_end end = wait_end(job, stop, timeout_ms);
    job->abandoned = end != ASIDE_DONE;
    pthread_mutex_unlock(&job->lock);
    if (end == ASIDE_DONE)
        job_free(job);
    return end;
}
