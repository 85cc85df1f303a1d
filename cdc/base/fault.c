/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c - counts visits to the point that PGCDC_FAULT names and kills the process at the requested one.
 */
#include "cdc/base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_ulong fault_visits;

void fault_point(const char *name) {
    const char *wanted = getenv("PGCDC_FAULT");
    size_t length = strlen(name);
    if (wanted == NULL || strncmp(wanted, name, length) != 0)
        return;
    if (wanted[length] != '\0' && wanted[length] != ':')
        return;
    if (strncmp(wanted + length, ":stop", 5) == 0) {
        const unsigned long stop = wanted[length + 5] == ':' ? strtoul(wanted + length + 6, NULL, 10) : 1;
        if (atomic_fetch_add(&fault_visits, 1) + 1 == stop)
            raise(SIGSTOP);
        return;
    }
    if (strcmp(wanted + length, ":hang") == 0)
        for (;;)
            pause();
    unsigned long visit = wanted[length] == ':' ? strtoul(wanted + length + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&fault_visits, 1) + 1 == visit)
        raise(SIGKILL);
}

bool fault_loses(const char *name) {
    const char *wanted = getenv("PGCDC_FAULT");
    const size_t length = strlen(name);
    return wanted != NULL && strncmp(wanted, name, length) == 0 && strcmp(wanted + length, ":lose") == 0 &&
           atomic_fetch_add(&fault_visits, 1) == 0;
}

int fault_interval_ms(int interval_ms) {
    const char *wanted = getenv("PGCDC_INTERVAL_MS");
    return wanted != NULL ? (int) strtol(wanted, NULL, 10) : interval_ms;
}
