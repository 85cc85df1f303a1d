/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.c - a copy behind a mutex, which both sides hold for a copy's time.
 */
#include "cdc/engine/live.h"

#include <stdlib.h>

bool live_init(struct live *live, size_t sink_count, struct error *err) {
    *live = (struct live){0};
    pthread_mutex_init(&live->lock, NULL);
    live->tables = calloc(sink_count, sizeof *live->tables);
    return live->tables != NULL || error_no_memory(err);
}

void live_release(struct live *live) {
    free(live->tables);
    live->tables = NULL;
}

bool lives_init(struct lives *lives, const struct config *config, struct error *err) {
    const size_t count = config->part_count > 0 ? config->part_count : 1;
    *lives = (struct lives){.items = calloc(count, sizeof *lives->items)};
    if (lives->items == NULL)
        return error_no_memory(err);
    /* Before its parts begin, the first one is that of all sinks. */
    for (; lives->count < count; lives->count++)
        if (!live_init(&lives->items[lives->count], lives->count == 0 ? config->sink_count : 1, err))
            return false;
    return true;
}

void lives_release(struct lives *lives) {
    for (size_t i = 0; i < lives->count; i++)
        live_release(&lives->items[i]);
    free(lives->items);
    *lives = (struct lives){0};
}

void live_read(struct live *live, struct live_facts *ret_facts) {
    pthread_mutex_lock(&live->lock);
    *ret_facts = live->facts;
    pthread_mutex_unlock(&live->lock);
}

bool live_turns(const struct live_facts *facts, int64_t now_ms, int64_t quiet_max_ms) {
    return facts->phase != LIVE_STREAMING || now_ms - facts->turned_ms <= quiet_max_ms;
}

void live_read_copied(struct live *live, struct copy_tables *ret_copied) {
    pthread_mutex_lock(&live->lock);
    *ret_copied = live->copied;
    pthread_mutex_unlock(&live->lock);
}

const char *live_phase_name(enum live_phase phase) {
    static const char *const NAMES[] = {[LIVE_STARTING] = "starting",
                                        [LIVE_COPYING] = "copying",
                                        [LIVE_STREAMING] = "streaming",
                                        [LIVE_RETRYING] = "retrying",
                                        [LIVE_ENDED] = "ended"};
    return NAMES[phase];
}
