/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - the thread looks at the engine a few times a second, and speaks when there is something new.
 */
#include "cdc/service/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/service/service_state.h"

enum {
    LOOK_MS = 100,
    TELL_MS = 1000, /* a sentence at most so often */
    FEEDS = 3,      /* signs of life in the time that the watchdog waits for one */
};

bool service_is_wanted(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    return path != NULL && path[0] != '\0';
}

/* ---- what is told ---- */

/* A message that is lost is no reason to stop: the next one says the same. */
static void service_tell(struct service *service, const char *message) {
    struct error err = {0};
    if (notify_send(&service->notify, message, &err)) {
        service->has_failed = false;
        return;
    }
    if (!service->has_failed)
        log_about(LOG_SERVICE_NOT_TOLD, &(struct log_subject){.error = &err},
                  "the service manager is not told: %s", err.text);
    service->has_failed = true;
}

static void tell_sentence(struct service *service, int64_t now_ms) {
    char sentence[SERVICE_SENTENCE_MAX], message[SERVICE_SENTENCE_MAX + 16];
    if (service->told_ms != 0 && now_ms - service->told_ms < TELL_MS)
        return;
    service_sentence(service->parts, service->lives->count, clock_unix_us(), sentence);
    if (strcmp(sentence, service->told) == 0)
        return;
    memcpy(service->told, sentence, sizeof service->told);
    service->told_ms = now_ms;
    snprintf(message, sizeof message, "STATUS=%s", sentence);
    service_tell(service, message);
}

static void feed_watchdog(struct service *service, int64_t now_ms) {
    if (service->feed_ms == 0 || now_ms - service->fed_ms < service->feed_ms ||
        !service_is_alive(service->parts, service->lives->count, now_ms,
                          FAULT_INTERVAL_MS(LIVE_QUIET_MAX_MS)))
        return;
    service->fed_ms = now_ms;
    service_tell(service, "WATCHDOG=1");
}

static void service_look(struct service *service) {
    const int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < service->lives->count; i++)
        live_read(&service->lives->items[i], &service->parts[i]);
    if (!service->is_ready && service_is_ready(service->parts, service->lives->count)) {
        service->is_ready = true;
        service_tell(service, "READY=1");
    }
    if (!service->is_stopping && atomic_load(service->stop)) {
        service->is_stopping = true;
        service_tell(service, "STOPPING=1");
    }
    tell_sentence(service, now_ms);
    feed_watchdog(service, now_ms);
}

static void *service_main(void *argument) {
    struct service *service = argument;
    while (!atomic_load(&service->ends)) {
        service_look(service);
        clock_pause_ms(LOOK_MS);
    }
    return NULL;
}

/* ---- beginning and end ---- */

/* WATCHDOG_PID: a child of the service inherits the environment, and is not the one to be watched. */
static int64_t read_feed_ms(void) {
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (text == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long) getpid()))
        return 0;
    const unsigned long long wait_us = strtoull(text, NULL, 10);
    return wait_us / 1000 / FEEDS > 0 ? (int64_t) (wait_us / 1000 / FEEDS) : 1;
}

bool service_start(struct service *service, const struct lives *lives, const atomic_bool *stop,
                   struct error *err) {
    struct error unusable = {0};
    *service = (struct service){.notify.fd = -1, .lives = lives, .stop = stop, .feed_ms = read_feed_ms()};
    if (!service_is_wanted())
        return true;
    if (!notify_open(&service->notify, getenv("NOTIFY_SOCKET"), &unusable)) {
        log_about(LOG_SERVICE_NOT_TOLD, &(struct log_subject){.error = &unusable},
                  "the service manager is not told: %s", unusable.text);
        return true;
    }
    service->parts = calloc(lives->count, sizeof *service->parts);
    if (service->parts == NULL)
        return error_no_memory(err);
    errno = pthread_create(&service->thread, NULL, service_main, service);
    service->has_thread = errno == 0;
    return service->has_thread || error_errno(err, "the thread of the service");
}

void service_end(struct service *service) {
    atomic_store(&service->ends, true);
    if (service->has_thread) {
        pthread_join(service->thread, NULL);
        if (!service->is_stopping)
            service_tell(service, "STOPPING=1");
    }
    notify_close(&service->notify);
    free(service->parts);
    service->parts = NULL;
}
