/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - starts and ends the threads.
 */
#include "cdc/http/probe.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"

static void probes_init(struct probes *probes) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&probes->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&probes->ends, &attributes);
    pthread_condattr_destroy(&attributes);
}

static bool start_thread(pthread_t *thread, void *(*main)(void *), void *argument, bool *ret_runs,
                         struct error *err) {
    const int failure = pthread_create(thread, NULL, main, argument);
    *ret_runs = failure == 0;
    return *ret_runs || error_set(err, ERROR_SYSTEM, "a thread for metrics: %s", strerror(failure));
}

static bool start_sink(struct probes *probes, size_t i, struct error *err) {
    struct sink_probe *probe = &probes->sinks[i];
    const struct config_sink *sink = &probes->config->sinks[i];
    *probe =
        (struct sink_probe){.probes = probes, .sink = sink, .part = config_part_of(probes->config, sink)};
    return start_thread(&probe->thread, probe_sink_main, probe, &probe->runs, err);
}

bool probes_start(struct probes *probes, struct error *err) {
    probes_init(probes);
    probes->scratch = calloc(probes->live_count, sizeof *probes->scratch);
    bool good = probes->scratch != NULL || error_no_memory(err);
    if (good && probes->config->source.dsn != NULL)
        good = start_thread(&probes->thread, probe_source_main, probes, &probes->runs, err);
    for (size_t i = 0; good && i < probes->config->sink_count; i++)
        good = start_sink(probes, i, err);
    if (!good)
        probes_end(probes);
    return good;
}

void probes_end(struct probes *probes) {
    pthread_mutex_lock(&probes->lock);
    atomic_store(&probes->stop, true);
    pthread_cond_broadcast(&probes->ends);
    pthread_mutex_unlock(&probes->lock);
    if (probes->runs)
        pthread_join(probes->thread, NULL);
    for (size_t i = 0; i < probes->config->sink_count; i++)
        if (probes->sinks[i].runs)
            pthread_join(probes->sinks[i].thread, NULL);
    pthread_cond_destroy(&probes->ends);
    pthread_mutex_destroy(&probes->lock);
    free(probes->scratch);
}

bool probes_wait(struct probes *probes, int interval_ms) {
    const struct timespec until = clock_deadline(interval_ms);
    int failure = 0;
    pthread_mutex_lock(&probes->lock);
    while (!atomic_load(&probes->stop) && failure == 0)
        failure = pthread_cond_timedwait(&probes->ends, &probes->lock, &until);
    pthread_mutex_unlock(&probes->lock);
    return !atomic_load(&probes->stop);
}
