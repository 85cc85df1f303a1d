/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffered.c - a thread for each part, and when they end.
 */
#include "cdc/engine/buffered.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cdc/archive/follower.h"
#include "cdc/archive/segment_list.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/base/position.h"
#include "cdc/engine/buffered_published.h"

enum {
    STEP_MS = 50,
    RESTART_MS = 60000,
};

struct part {
    const struct config *config;
    struct pipeline_options options;
    struct pipeline_result result; /* of its last run */
    struct error error;
    pthread_t thread;
    bool is_running; /* the thread is to be joined */
    bool is_good;    /* it ended in order */
    bool has_failed; /* otherwise, and was not started again */
    int64_t failed_ms;
    atomic_bool has_ended; /* the thread is about to end */
};

struct buffered {
    const struct config *config;
    const struct pipeline_options *options;
    atomic_bool stop; /* of all parts */
    atomic_ullong wanted_lsn;
    struct part *parts; /* the first one fills the buffer */
    size_t part_count;
};

static bool has_end(const struct buffered *buffered) {
    return buffered->options->until_caught_up || buffered->options->until_lsn != 0;
}

static bool buffered_is_stopped(const struct buffered *buffered) {
    return atomic_load_explicit(buffered->options->stop, memory_order_relaxed);
}

/* ---- before the buffer ---- */

bool buffered_has_begun(const struct config *config, bool *ret_has_begun, struct error *err) {
    struct segment_list list = {0};
    struct stat file;
    *ret_has_begun = false;
    if (stat(config->buffer.path, &file) != 0 && errno == ENOENT)
        return true;
    const bool is_read = segment_list_read(config->buffer.path, &list, err);
    *ret_has_begun = list.count > 0;
    segment_list_release(&list);
    return is_read;
}

/* The sinks' first positions: the slot is created, and the rows are copied or the copy is planned. */
static bool begin(const struct config *config, const struct pipeline_options *options,
                  struct pipeline_result *result, struct error *err) {
    struct pipeline_options beginning = *options;
    beginning.until_caught_up = false;
    beginning.until_lsn = 0;
    beginning.until_begun = true;
    beginning.renewal = NULL; /* the parts take it */
    return pipeline_run(config, &beginning, result, err);
}

/* Before the first file of the buffer may be deleted. */
static bool add_followers(const struct config *config, struct error *err) {
    struct follower_list list = {0};
    if (mkdir(config->buffer.path, 0750) != 0 && errno != EEXIST) {
        error_errno(err, "buffer %s", config->buffer.path);
        err->kind = errno == ENOSPC || errno == EDQUOT ? ERROR_RETRY : ERROR_CONFIG;
        return false;
    }
    bool good = follower_list_read(config->buffer.path, &list, err);
    for (size_t i = 1; good && i < config->part_count; i++) {
        const char *name = config->parts[i].source.follower;
        bool is_there = false;
        for (size_t f = 0; f < list.count; f++)
            is_there = is_there || strcmp(list.followers[f].name, name) == 0;
        good = is_there || follower_write(config->buffer.path, name, POSITION_BEGINNING, err);
    }
    follower_list_release(&list);
    return good;
}

/* ---- a part ---- */

static void *part_main(void *argument) {
    struct part *part = argument;
    part->is_good = pipeline_run(part->config, &part->options, &part->result, &part->error);
    atomic_store(&part->has_ended, true);
    return NULL;
}

static bool part_start(struct part *part, struct error *err) {
    part->error = (struct error){0};
    part->has_failed = false;
    atomic_store(&part->has_ended, false);
    pipeline_result_release(&part->result);
    const int failure = pthread_create(&part->thread, NULL, part_main, part);
    part->is_running = failure == 0;
    return part->is_running ||
           error_set(err, ERROR_SYSTEM, "a thread for a part of the pipeline: %s", strerror(failure));
}

static void part_join(struct part *part) {
    if (!part->is_running)
        return;
    pthread_join(part->thread, NULL);
    part->is_running = false;
    part->has_failed = !part->is_good;
    part->failed_ms = clock_now_ms();
}

static void say_failed(const struct buffered *buffered, const struct part *part) {
    log_about(LOG_PART_FAILED, &(struct log_subject){.error = &part->error}, "%s%s; %s",
              part == buffered->parts ? "from the slot to the buffer: " : "", part->error.text,
              has_end(buffered) ? "the others go on" : "the others go on, and it is tried again in 60 s");
}

/* ---- all parts ---- */

static size_t count_running(const struct buffered *buffered) {
    size_t count = 0;
    for (size_t i = 0; i < buffered->part_count; i++)
        count += buffered->parts[i].is_running;
    return count;
}

static void join_ended(struct buffered *buffered) {
    for (size_t i = 0; i < buffered->part_count; i++) {
        struct part *part = &buffered->parts[i];
        if (!part->is_running || !atomic_load(&part->has_ended))
            continue;
        part_join(part);
        if (part->has_failed && count_running(buffered) > 0)
            say_failed(buffered, part);
    }
}

/* The sinks have what was asked for; or nothing can come any more. */
static bool is_over(const struct buffered *buffered) {
    const size_t running = count_running(buffered);
    const bool fills = buffered->parts[0].is_running;
    return buffered_is_stopped(buffered) || running == 0 || (has_end(buffered) && (!fills || running == 1));
}

static bool start_again(struct buffered *buffered, struct error *err) {
    if (has_end(buffered))
        return true;
    for (size_t i = 0; i < buffered->part_count; i++) {
        struct part *part = &buffered->parts[i];
        if (part->has_failed && clock_now_ms() - part->failed_ms >= FAULT_INTERVAL_MS(RESTART_MS) &&
            !part_start(part, err))
            return false;
    }
    return true;
}

static bool buffered_watch(struct buffered *buffered, struct error *err) {
    while (!is_over(buffered)) {
        clock_pause_ms(STEP_MS);
        join_ended(buffered);
        if (!start_again(buffered, err))
            return false;
    }
    return true;
}

static void end_all(struct buffered *buffered) {
    atomic_store(&buffered->stop, true);
    for (size_t i = 0; i < buffered->part_count; i++)
        part_join(&buffered->parts[i]);
}

static void prepare_parts(struct buffered *buffered) {
    for (size_t i = 0; i < buffered->part_count; i++) {
        struct part *part = &buffered->parts[i];
        part->config = &buffered->config->parts[i];
        part->options = *buffered->options;
        part->options.config = NULL; /* parts share the list of tables */
        part->options.stop = &buffered->stop;
        part->options.wanted_lsn = &buffered->wanted_lsn;
        part->options.pauses =
            i > 0 && buffered->options->pauses != NULL ? &buffered->options->pauses[i - 1] : NULL;
        part->options.renewal = buffered->options->renewal != NULL ? &buffered->options->renewal[i] : NULL;
        part->options.live = buffered->options->live != NULL ? &buffered->options->live[i] : NULL;
    }
    buffered->parts[0].options.until_caught_up = false;
    buffered->parts[0].options.until_lsn = 0;
}

/* The first file of the buffer has the position at which it begins. */
static bool await_buffer(struct buffered *buffered, bool *ret_exists, struct error *err) {
    for (;;) {
        if (!buffered_has_begun(buffered->config, ret_exists, err))
            return false;
        if (*ret_exists || atomic_load(&buffered->parts[0].has_ended) || buffered_is_stopped(buffered))
            return true;
        clock_pause_ms(STEP_MS);
    }
}

/* The parts' directories are in it. When it cannot be made, the first part says why. */
static void make_state_directory(const struct config *config) {
    (void) mkdir(config->state, 0750);
}

static bool start_all(struct buffered *buffered, struct error *err) {
    bool exists = false;
    make_state_directory(buffered->config);
    prepare_parts(buffered);
    if (!part_start(&buffered->parts[0], err) || !await_buffer(buffered, &exists, err))
        return false;
    for (size_t i = 1; exists && i < buffered->part_count; i++)
        if (!part_start(&buffered->parts[i], err))
            return false;
    return true;
}

/* ---- what it did ---- */

static void add_result(struct pipeline_result *total, struct pipeline_result *part) {
    total->transactions += part->transactions;
    total->changes += part->changes;
    total->rows_copied += part->rows_copied;
    total->reached = total->reached && part->reached;
    total->copy_interrupted = total->copy_interrupted || part->copy_interrupted;
    if (part->until_lsn > total->until_lsn)
        total->until_lsn = part->until_lsn;
    if (part->position_lsn < total->position_lsn)
        total->position_lsn = part->position_lsn;
}

/* One ledger for each sink: that of its last run. */
static bool buffered_sum(struct buffered *buffered, struct pipeline_result *result, struct error *err) {
    result->ledgers = calloc(buffered->part_count, sizeof *result->ledgers);
    if (result->ledgers == NULL)
        return error_no_memory(err);
    result->reached = has_end(buffered);
    result->position_lsn = UINT64_MAX;
    for (size_t i = 1; i < buffered->part_count; i++) {
        struct pipeline_result *part = &buffered->parts[i].result;
        add_result(result, part);
        if (part->ledger_count > 0) {
            result->ledgers[result->ledger_count] = part->ledgers[0];
            part->ledgers[0] = (struct ledger){0};
        }
        result->ledger_count++;
    }
    return true;
}

/* The sinks' errors come before that of the buffer, which often follows from the end. */
static bool judge_parts(const struct buffered *buffered, const struct config **ret_failed,
                        struct error *err) {
    for (size_t i = buffered->part_count; i > 0; i--) {
        const struct part *part = &buffered->parts[i - 1];
        if (!part->has_failed)
            continue;
        *ret_failed = part->config;
        *err = part->error;
        return false;
    }
    return true;
}

static bool run_parts(struct buffered *buffered, struct pipeline_result *result,
                      const struct config **ret_failed, struct error *err) {
    const bool is_run = start_all(buffered, err) && buffered_watch(buffered, err);
    end_all(buffered);
    return is_run && buffered_published_take(buffered->config, err) && buffered_sum(buffered, result, err) &&
           (buffered_is_stopped(buffered) || judge_parts(buffered, ret_failed, err));
}

bool buffered_run(const struct config *config, const struct pipeline_options *options,
                  struct pipeline_result *ret_result, const struct config **ret_failed, struct error *err) {
    const int64_t began_ms = clock_now_ms();
    struct buffered buffered = {.config = config, .options = options, .part_count = config->part_count};
    bool exists = false;
    *ret_result = (struct pipeline_result){0};
    *ret_failed = config;
    if (!buffered_has_begun(config, &exists, err) || (!exists && !begin(config, options, ret_result, err)))
        return false;
    if (buffered_is_stopped(&buffered))
        return true;
    pipeline_result_release(ret_result);
    FAULT_POINT("buffer-before-begin");
    if (!add_followers(config, err) || !buffered_published_give(config, err))
        return false;
    buffered.parts = calloc(config->part_count, sizeof *buffered.parts);
    if (buffered.parts == NULL)
        return error_no_memory(err);
    const bool good = run_parts(&buffered, ret_result, ret_failed, err);
    for (size_t i = 0; i < buffered.part_count; i++)
        pipeline_result_release(&buffered.parts[i].result);
    free(buffered.parts);
    ret_result->duration_ms = clock_now_ms() - began_ms;
    return good;
}
