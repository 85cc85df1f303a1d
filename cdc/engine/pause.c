/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause.c - the file, a line for each sink that is paused or has obeyed a message.
 *
 *     pgcdc pause 1
 *     warehouse paused 1764547200000000 0/0 0/0 root (pid 4711)
 *     end
 */
#include "cdc/engine/pause.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/base/file.h"
#include "cdc/engine/state_file.h"

#define KIND "pause"
#define MAGIC "pgcdc pause 1\n"
#define END "end\n"

enum { PAUSE_LINE_MAX = 512, FILE_MAX = 65536 };

static struct state_file pause_file(const struct config *config) {
    return state_file_of(config->state, config->name, NULL, KIND);
}

/* ---- reading ---- */

static size_t find_paused(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->sink_count; i++)
        if (strcmp(config->sinks[i].sink.name, name) == 0)
            return i;
    return SIZE_MAX;
}

static bool take_pause(struct pauses *pauses, const char *line) {
    char name[64], state[16], after[32], obeyed[32];
    struct pause_facts facts = {0};
    int at = 0;
    if (sscanf(line, "%63s %15s %" SCNd64 " %31s %31s %n", name, state, &facts.since_us, after, obeyed,
               &at) != 5 ||
        at == 0 || !lsn_parse(after, &facts.after_lsn) || !lsn_parse(obeyed, &facts.obeyed_lsn))
        return false;
    facts.is_wanted = strcmp(state, "paused") == 0;
    if (!facts.is_wanted && strcmp(state, "runs") != 0)
        return false;
    snprintf(facts.by, sizeof facts.by, "%.*s", (int) strcspn(line + at, "\n"), line + at);
    const size_t sink = find_paused(pauses->config, name);
    if (sink != SIZE_MAX)
        pauses->facts[sink] = facts;
    return true;
}

static bool read_pauses(struct pauses *pauses, FILE *file) {
    char line[PAUSE_LINE_MAX];
    if (fgets(line, sizeof line, file) == NULL || strcmp(line, MAGIC) != 0)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strcmp(line, END) == 0)
            return true;
        if (!take_pause(pauses, line))
            return false;
    }
    return false;
}

/* The runners see it from here on. */
static void put_into_force(struct pauses *pauses, size_t sink) {
    const struct pause_facts *facts = &pauses->facts[sink];
    struct pause *pause = &pauses->sinks[sink];
    atomic_store(&pause->after_lsn, facts->after_lsn);
    atomic_store(&pause->obeyed_lsn, facts->obeyed_lsn);
    atomic_store(&pause->is_wanted, facts->is_wanted);
}

bool pauses_read(struct pauses *pauses, const struct config *config, struct error *err) {
    const struct state_file file = pause_file(config);
    *pauses = (struct pauses){.config = config, .count = config->sink_count};
    if (config->sink_count > CHECKPOINT_SINKS_MAX)
        return error_set(err, ERROR_CONFIG, "%s: the pipeline has more sinks than the %d that are possible",
                         config->path, CHECKPOINT_SINKS_MAX);
    pthread_mutex_init(&pauses->lock, NULL);
    for (size_t i = 0; i < pauses->count; i++)
        pauses->sinks[i] = (struct pause){.all = pauses, .index = i};
    FILE *stream = fopen(file.path, "re");
    if (stream == NULL)
        return errno == ENOENT || errno == ENOTDIR || error_errno(err, "%s", file.path);
    const bool is_whole = read_pauses(pauses, stream);
    fclose(stream);
    if (!is_whole) {
        error_set(err, ERROR_CONFIG, "%s is not a whole file, so it is not known which sinks are paused",
                  file.path);
        return error_remedy(err, "remove it; then `pgcdc pause` before the next start, if a sink must wait");
    }
    for (size_t i = 0; i < pauses->count; i++)
        put_into_force(pauses, i);
    return true;
}

struct pause_facts pauses_look(struct pauses *pauses, size_t sink) {
    pthread_mutex_lock(&pauses->lock);
    const struct pause_facts facts = pauses->facts[sink];
    pthread_mutex_unlock(&pauses->lock);
    return facts;
}

bool pauses_any(struct pauses *pauses) {
    for (size_t i = 0; i < pauses->count; i++)
        if (pause_is_wanted(&pauses->sinks[i]))
            return true;
    return false;
}

/* ---- writing ---- */

static bool write_facts(const struct pauses *pauses, const struct pause_facts *all, struct error *err) {
    const struct config *config = pauses->config;
    const struct state_file file = pause_file(config);
    struct buffer text AUTO(buffer_release) = {.bytes_max = FILE_MAX};
    buffer_append_text(&text, MAGIC);
    for (size_t i = 0; i < pauses->count; i++)
        if (all[i].is_wanted || all[i].obeyed_lsn != 0)
            buffer_printf(&text, "%s %s %" PRId64 " %s %s %s\n", config->sinks[i].sink.name,
                          all[i].is_wanted ? "paused" : "runs", all[i].since_us,
                          lsn_format(all[i].after_lsn).text, lsn_format(all[i].obeyed_lsn).text, all[i].by);
    buffer_append_text(&text, END);
    if (!buffer_ok(&text))
        return error_no_memory(err);
    if (!state_file_write(&file, buffer_slice(&text), true, err))
        return false;
    FAULT_POINT("pause-written");
    if (!state_file_place(&file, err) || !directory_sync(config->state, err))
        return false;
    FAULT_POINT("pause-stored");
    return true;
}

static bool pauses_store(struct pauses *pauses, const struct pause_facts *all, struct error *err) {
    if (!write_facts(pauses, all, err))
        return false;
    memcpy(pauses->facts, all, sizeof pauses->facts);
    for (size_t i = 0; i < pauses->count; i++)
        put_into_force(pauses, i);
    return true;
}

static void begin_one(struct pause_facts *stored, const struct pause_facts *facts) {
    if (facts->obeyed_lsn > stored->obeyed_lsn)
        stored->obeyed_lsn = facts->obeyed_lsn;
    if (stored->is_wanted)
        return;
    stored->is_wanted = true;
    stored->since_us = facts->since_us;
    stored->after_lsn = facts->after_lsn;
    memcpy(stored->by, facts->by, sizeof stored->by);
}

bool pauses_begin(struct pauses *pauses, size_t sink, const struct pause_facts *facts, struct error *err) {
    struct pause_facts all[CHECKPOINT_SINKS_MAX];
    pthread_mutex_lock(&pauses->lock);
    memcpy(all, pauses->facts, sizeof all);
    for (size_t i = 0; i < pauses->count; i++)
        if (sink == SIZE_MAX || sink == i)
            begin_one(&all[i], facts);
    const bool is_stored = pauses_store(pauses, all, err);
    pthread_mutex_unlock(&pauses->lock);
    return is_stored;
}

static void end_one(struct pause_facts *stored, lsn_t obeyed_lsn) {
    if (obeyed_lsn != 0 && obeyed_lsn <= stored->obeyed_lsn)
        return;
    *stored =
        (struct pause_facts){.obeyed_lsn = obeyed_lsn != 0 ? obeyed_lsn : stored->obeyed_lsn, .by = "-"};
}

bool pauses_end(struct pauses *pauses, size_t sink, lsn_t obeyed_lsn, struct error *err) {
    struct pause_facts all[CHECKPOINT_SINKS_MAX];
    pthread_mutex_lock(&pauses->lock);
    memcpy(all, pauses->facts, sizeof all);
    for (size_t i = 0; i < pauses->count; i++)
        if (sink == SIZE_MAX || sink == i)
            end_one(&all[i], obeyed_lsn);
    const bool is_stored = pauses_store(pauses, all, err);
    pthread_mutex_unlock(&pauses->lock);
    return is_stored;
}

bool pauses_remove(const char *directory, const char *pipeline, struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    return state_file_remove(&file, err);
}

/* ---- the runner's side ---- */

bool pause_holds(const struct pause *pause, lsn_t written_lsn) {
    return pause_is_wanted(pause) && written_lsn > atomic_load(&pause->after_lsn);
}

void pause_tell(struct pause *pause, lsn_t held_lsn) {
    atomic_store(&pause->held_lsn, held_lsn);
    atomic_store(&pause->is_held, true);
}

void pause_leave(struct pause *pause) {
    atomic_store(&pause->is_held, false);
}
