/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h - named places where a test can kill the program.
 *
 * PGCDC_FAULT="name" kills the process (SIGKILL) at its first visit to FAULT_POINT(name),
 * PGCDC_FAULT="name:7" at the seventh. "name:stop" stops the process there (SIGSTOP) until the test sends
 * SIGCONT, "name:stop:7" at the seventh. Built in only with -Dfault_points=true; otherwise a point is
 * nothing. The fault tests find all
 * points with `grep -rhoE 'FAULT_POINT\("[^"]+"' cdc sinks`.
 *
 * PGCDC_FAULT="name:hang": from the first visit on, the thread that is there does nothing any more.
 *
 * PGCDC_FAULT="name:lose" makes the first visit to FAULT_LOSES(name) true: the program then does something
 * wrong, which it must notice by itself.
 */
#pragma once

#include <stdbool.h>

#ifdef PGCDC_FAULT_POINTS
#define FAULT_POINT(name) fault_point(name)
#define FAULT_LOSES(name) fault_loses(name)
#define FAULT_INTERVAL_MS(interval_ms) fault_interval_ms(interval_ms)
#else
#define FAULT_POINT(name) ((void) 0)
#define FAULT_LOSES(name) false
#define FAULT_INTERVAL_MS(interval_ms) (interval_ms)
#endif

/* Any thread. */
void fault_point(const char *name);
bool fault_loses(const char *name);

/*
 * Shortens an interval for which a test would wait for minutes: PGCDC_INTERVAL_MS when that is set, else
 * interval_ms.
 */
int fault_interval_ms(int interval_ms);
