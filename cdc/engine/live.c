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

void live_read(struct live *live, struct live_facts *ret_facts) {
    pthread_mutex_lock(&live->lock);
    *ret_facts = live->facts;
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
