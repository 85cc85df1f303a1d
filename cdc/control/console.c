/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c - its thread, and the order in which things begin and end.
 */
#include "cdc/control/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/shell_word.h"
#include "cdc/control/clients.h"
#include "cdc/control/obey.h"

enum {
    TURN_MS = 200,
    LOCK_TRIES = 20, /* a command holds the lock for as long as it writes a file */
    LOCK_STEP_MS = 50,
};

bool console_lock(const struct config *config, struct state_lock *lock, struct error *err) {
    char name[128];
    snprintf(name, sizeof name, "%s.sock", config->name);
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (state_lock_take(lock, config->state, name, err))
            return true;
        if (err->kind != ERROR_RUNNING)
            return false;
        clock_pause_ms(LOCK_STEP_MS);
    }
    return error_set(err, ERROR_RUNNING, "pipeline %s is already run by pid %ld (state directory %s)",
                     config->name, (long) state_lock_holder(config->state, name), config->state);
}

static bool refuse_end(struct console *console, struct error *err) {
    error_set(err, ERROR_CONFIG, "a sink of pipeline %s is paused, so this run would not reach its end",
              console->config->name);
    return error_remedy(err, "`pgcdc resume -c %s` ends the pause",
                        shell_word_of_file(console->config->path).text);
}

static void say_paused(struct console *console) {
    for (size_t i = 0; i < console->config->sink_count; i++) {
        const struct pause_facts facts = pauses_look(&console->pauses, i);
        if (facts.is_wanted)
            log_line(LOG_STARTS_PAUSED, "sink %s is paused, for %s, by %s; `pgcdc resume -c %s` ends that",
                     console->config->sinks[i].sink.name,
                     amount_duration((clock_unix_us() - facts.since_us) / 1000).text, facts.by,
                     shell_word_of_file(console->config->path).text);
    }
}

bool console_open(struct console *console, const struct config *config,
                  const struct pipeline_options *options, struct error *err) {
    *console = (struct console){.config = config, .lock = {.fd = -1}, .hangup = options->hangup};
    console->has_end = options->until_caught_up || options->until_lsn != 0;
    atomic_store(&console->stalled_ms, config->http.stalled_ms);
    console->renewals = calloc(config->part_count > 0 ? config->part_count : 1, sizeof *console->renewals);
    if (console->renewals == NULL)
        return error_no_memory(err);
    if (!console_lock(config, &console->lock, err) || !pauses_read(&console->pauses, config, err))
        return false;
    console->pauses.has_end = console->has_end;
    if (console->has_end && pauses_any(&console->pauses))
        return refuse_end(console, err);
    say_paused(console);
    return true;
}

static void *console_main(void *argument) {
    struct console *console = argument;
    while (!atomic_load(&console->stop)) {
        if (console->clients != NULL)
            clients_serve(console->clients, TURN_MS);
        else
            clock_pause_ms(TURN_MS);
        if (console->hangup != NULL && atomic_exchange(console->hangup, false))
            console_obey_reload(console, "SIGHUP");
        if (atomic_exchange(&console->pauses.wants_reload, false))
            console_obey_reload(console, "a message in the WAL");
    }
    return NULL;
}

bool console_start(struct console *console, struct pipeline_options *options, struct error *err) {
    struct error refused = {0};
    if (!clients_open(console, &console->clients, &refused))
        log_line(LOG_NO_REQUESTS, "this engine cannot be paused or reloaded while it runs: %s",
                 refused.text);
    options->pauses = console->pauses.sinks;
    options->renewal = console->renewals;
    const int failure = pthread_create(&console->thread, NULL, console_main, console);
    if (failure != 0)
        return error_set(err, ERROR_SYSTEM, "a thread for the operator: %s", strerror(failure));
    console->is_started = true;
    return true;
}

void console_end(struct console *console) {
    atomic_store(&console->stop, true);
    if (console->is_started)
        pthread_join(console->thread, NULL);
    clients_close(console->clients);
    state_lock_release(&console->lock);
    config_free(console->newest);
    free(console->renewals);
}
