/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequences_follower.c - rounds: both sessions are opened, the sequences set, both are closed.
 */
#include "cdc/sequences/sequences_follower.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/sequences/sequences.h"
#include "cdc/source/source.h"

enum {
    ROUND_MS = 60000,
};

#define BLOCK_BYTES ((size_t) 64 * 1024)
#define ARENA_BYTES_MAX ((size_t) 256 << 20)

/* A sequence that another session alters or drops is left for the next round. */
#define SETTINGS "set lock_timeout = '5s'"

static bool is_ending(const struct sequences_follower *follower) {
    return atomic_load_explicit(&follower->stop, memory_order_relaxed);
}

static void wait_for_round(struct sequences_follower *follower) {
    const struct timespec until = clock_deadline(FAULT_INTERVAL_MS(ROUND_MS));
    int failure = 0;
    pthread_mutex_lock(&follower->lock);
    while (!is_ending(follower) && failure == 0)
        failure = pthread_cond_timedwait(&follower->ends, &follower->lock, &until);
    pthread_mutex_unlock(&follower->lock);
}

static void say_new(char said[static SEQUENCES_SAID_MAX], enum log_event event, const char *sink,
                    const char *what) {
    char text[SEQUENCES_SAID_MAX];
    snprintf(text, sizeof text, "%.*s", SEQUENCES_SAID_MAX - 1, what);
    if (strcmp(said, text) == 0)
        return;
    memcpy(said, text, sizeof text);
    if (text[0] != '\0')
        log_sink(event, sink, "sequences: %s", text);
}

static void say_obstacles(char said[static SEQUENCES_SAID_MAX], const char *sink,
                          const struct sequence_list *list) {
    static const struct {
        enum sequence_state state;
        const char *what;
    } OBSTACLES[] = {
        {SEQUENCE_MISSING, "the target lacks "},
        {SEQUENCE_UNREADABLE, "no right to read at the source: "},
        {SEQUENCE_LOCKED, "no right to set at the target: "},
        {SEQUENCE_UNFIT, "the target's range or direction is another one: "},
    };
    struct buffer text AUTO(buffer_release) = {.bytes_max = 64 * 1024};
    for (size_t i = 0; i < sizeof OBSTACLES / sizeof OBSTACLES[0]; i++) {
        if (list->counts[OBSTACLES[i].state] == 0)
            continue;
        buffer_printf(&text, "%s%s", text.size > 0 ? "; " : "", OBSTACLES[i].what);
        sequences_name(list, OBSTACLES[i].state, &text);
    }
    const char *what = buffer_text(&text);
    say_new(said, LOG_SEQUENCES_OBSTACLE, sink, what != NULL ? what : "");
}

static bool open_sides(const struct sequences_follower *follower, const struct config_sink *sink,
                       struct session *source, struct session *target, struct error *err) {
    struct session_options options = {.stop = &follower->stop};
    sink->ops->admin->target(&sink->sink, &options);
    options.stop = &follower->stop;
    return source_open(source, &follower->config->source, &follower->stop, err) &&
           session_open(target, &options, err) && session_execute(source, SETTINGS, err) &&
           session_execute(target, SETTINGS, err);
}

static bool set_ahead(const struct sequences_follower *follower, struct session *source,
                      struct session *target, char said[static SEQUENCES_SAID_MAX], const char *sink,
                      struct error *err) {
    const struct sequence_terms terms = {.config = &follower->config->sequences,
                                         .publications = follower->config->source.publication_array};
    struct sequence_list list;
    struct arena arena;
    size_t set = 0;
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    const bool done = sequences_advance(source, target, &terms, &arena, &list, &set, err);
    if (done) {
        log_sink(LOG_SEQUENCES_SET, sink, "sequences: %zu of %zu set ahead", set, list.count);
        say_obstacles(said, sink, &list);
    }
    arena_release(&arena);
    return done;
}

static void follow_sink(const struct sequences_follower *follower, const struct config_sink *sink,
                        char said[static SEQUENCES_SAID_MAX]) {
    struct session source = {0}, target = {0};
    struct error err = {0};
    if (!open_sides(follower, sink, &source, &target, &err) ||
        !set_ahead(follower, &source, &target, said, sink->sink.name, &err)) {
        if (!is_ending(follower))
            say_new(said, LOG_SEQUENCES_FAILED, sink->sink.name, error_line(&err).text);
    }
    session_close(&source);
    session_close(&target);
}

static void *follower_main(void *argument) {
    struct sequences_follower *follower = argument;
    const struct config *config = follower->config;
    for (wait_for_round(follower); !is_ending(follower); wait_for_round(follower))
        for (size_t i = 0; i < config->sink_count && i < SEQUENCES_SINKS_MAX && !is_ending(follower); i++)
            if (sink_admin(config->sinks[i].ops, target) != NULL)
                follow_sink(follower, &config->sinks[i], follower->said[i]);
    return NULL;
}

static bool has_target(const struct config *config) {
    for (size_t i = 0; i < config->sink_count; i++)
        if (sink_admin(config->sinks[i].ops, target) != NULL)
            return true;
    return false;
}

static void init_locks(struct sequences_follower *follower) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&follower->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&follower->ends, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void release_locks(struct sequences_follower *follower) {
    pthread_cond_destroy(&follower->ends);
    pthread_mutex_destroy(&follower->lock);
}

bool sequences_follower_start(struct sequences_follower *follower, const struct config *config,
                              struct error *err) {
    *follower = (struct sequences_follower){.config = config};
    if (config->sequences.follow == SEQUENCES_NONE || !has_target(config))
        return true;
    init_locks(follower);
    const int failure = pthread_create(&follower->thread, NULL, follower_main, follower);
    follower->runs = failure == 0;
    if (follower->runs)
        return true;
    release_locks(follower);
    return error_set(err, ERROR_SYSTEM, "a thread for the sequences: %s", strerror(failure));
}

void sequences_follower_end(struct sequences_follower *follower) {
    if (!follower->runs)
        return;
    pthread_mutex_lock(&follower->lock);
    atomic_store(&follower->stop, true);
    pthread_cond_signal(&follower->ends);
    pthread_mutex_unlock(&follower->lock);
    pthread_join(follower->thread, NULL);
    release_locks(follower);
    follower->runs = false;
}
