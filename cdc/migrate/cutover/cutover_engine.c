/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_engine.c - finds, starts, asks and ends the engine of the stream.
 */
#include "cdc/migrate/cutover/cutover_engine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/engine/control.h"
#include "cdc/engine/state_lock.h"
#include "cdc/source/slot.h"

enum {
    BEGIN_MAX_MS = 60000, /* until it answers: it may be connecting */
    SLOT_MAX_MS = 10000,  /* a walsender of an engine that was killed */
    END_MAX_MS = 20000,   /* an orderly stop takes ten seconds at most */
    ASK_MS = 2000,
    STEP_MS = 50,
    SAY_MS = 5000,
};

static bool was_stopped(const atomic_bool *stop) {
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

static void *engine_main(void *argument) {
    struct cutover_engine *engine = argument;
    const struct pipeline_options options = {.stop = &engine->stop};
    struct pipeline_result result = {0};
    engine->has_failed = !pipeline_run(engine->config, &options, &result, &engine->error);
    pipeline_result_release(&result);
    atomic_store(&engine->has_ended, true);
    return NULL;
}

static bool start_own(struct cutover_engine *engine, struct error *err) {
    log_line(LOG_CUTOVER_APPLIES, "no engine of pipeline %s runs here: this process applies its changes",
             engine->config->name);
    const int failure = pthread_create(&engine->thread, NULL, engine_main, engine);
    if (failure != 0)
        return error_set(err, ERROR_SYSTEM, "a thread for the engine: %s", strerror(failure));
    engine->is_own = true;
    return true;
}

static bool refuse_far_engine(const struct config *config, int pid, struct error *err) {
    error_set(err, ERROR_RUNNING,
              "slot %s is read by the server's pid %d, and no engine with state directory "
              "%s runs here",
              config->source.slot, pid, config->state);
    return error_remedy(err, "run this command where the engine runs, or stop that engine first");
}

static bool wait_for_slot(const struct config *config, struct session *source, const atomic_bool *stop,
                          struct error *err) {
    const int64_t until_ms = clock_now_ms() + SLOT_MAX_MS;
    for (;;) {
        struct slot_facts slot;
        if (!slot_read(source, config->source.slot, &slot, err))
            return false;
        if (!slot.exists || slot.active_pid == 0)
            return true;
        if (clock_now_ms() >= until_ms)
            return refuse_far_engine(config, slot.active_pid, err);
        if (was_stopped(stop))
            return error_set(err, ERROR_STOPPED, "stopped");
        clock_pause_ms(STEP_MS);
    }
}

bool cutover_engine_connect(struct cutover_engine *engine, int *ret_client, struct error *err) {
    if (engine->is_own && atomic_load(&engine->has_ended)) {
        *err = engine->error;
        return engine->has_failed ? error_wrap(err, "the engine of pipeline %s", engine->config->name)
                                  : error_set(err, ERROR_STOPPED, "the engine was stopped");
    }
    if (!control_connect(engine->config->state, engine->config->name, ret_client, err))
        return false;
    return *ret_client >= 0 ||
           error_set(err, ERROR_RETRY, "no engine of pipeline %s answers", engine->config->name);
}

static bool ping_engine(struct cutover_engine *engine, const atomic_bool *stop, struct error *err) {
    char answer[CONTROL_LINE_MAX];
    int client = -1;
    if (!cutover_engine_connect(engine, &client, err))
        return false;
    const bool answered = control_ask(client, "ping", ASK_MS, stop, answer, err);
    close(client);
    return answered;
}

static bool wait_for_answer(struct cutover_engine *engine, const atomic_bool *stop, struct error *err) {
    const int64_t until_ms = clock_now_ms() + BEGIN_MAX_MS;
    int64_t say_ms = clock_now_ms() + SAY_MS;
    for (;;) {
        struct error error = {0};
        if (ping_engine(engine, stop, &error))
            return true;
        if (error.kind != ERROR_RETRY || clock_now_ms() >= until_ms) {
            *err = error;
            return false;
        }
        if (clock_now_ms() >= say_ms) {
            log_line(LOG_CUTOVER_WAITS, "waiting for the engine of pipeline %s: %s", engine->config->name,
                     error.text);
            say_ms = clock_now_ms() + SAY_MS;
        }
        clock_pause_ms(STEP_MS);
    }
}

bool cutover_engine_begin(struct cutover_engine *engine, const struct config *config, struct session *source,
                          const atomic_bool *stop, struct error *err) {
    engine->config = config;
    if (state_lock_holder(config->state, config->name) == 0 &&
        (!wait_for_slot(config, source, stop, err) || !start_own(engine, err)))
        return false;
    return wait_for_answer(engine, stop, err);
}

void cutover_engine_release(struct cutover_engine *engine) {
    if (!engine->is_own)
        return;
    atomic_store(&engine->stop, true);
    pthread_join(engine->thread, NULL);
    engine->is_own = false;
}

bool cutover_engine_end(struct cutover_engine *engine, const struct config *config, struct error *err) {
    cutover_engine_release(engine);
    const int64_t until_ms = clock_now_ms() + END_MAX_MS;
    pid_t asked = 0;
    for (;;) {
        const pid_t pid = state_lock_holder(config->state, config->name);
        if (pid == 0)
            return true;
        if (pid != asked && kill(pid, SIGTERM) != 0 && errno != ESRCH)
            return error_errno(err, "the engine of pipeline %s, pid %ld", config->name, (long) pid) ||
                   error_remedy(err, "stop it, then run this command again, which goes on");
        if (pid != asked)
            log_line(LOG_ENGINE_TOLD, "the engine of pipeline %s, pid %ld, is told to end", config->name,
                     (long) pid);
        asked = pid;
        if (clock_now_ms() >= until_ms)
            return error_set(err, ERROR_RUNNING, "the engine of pipeline %s, pid %ld, does not end",
                             config->name, (long) pid) ||
                   error_remedy(err, "stop it, then run this command again, which goes on");
        clock_pause_ms(STEP_MS);
    }
}
