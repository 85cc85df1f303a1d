/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h - named places where a test can make the program die or a call fail.
 *
 * PGCDC_FAULT="name" kills the process (SIGKILL) the first time it comes to FAULT_POINT(name);
 * PGCDC_FAULT="name:7" the seventh time; "name:stop" stops it there (SIGSTOP), until the test goes on with
 * SIGCONT. Built in only with -Dfault_points=true; otherwise a point is nothing. `grep -rhoE
 * 'FAULT_POINT\("[^"]+"' cdc sinks` lists them, which is how the fault tests find them all.
 */
#pragma once

#ifdef PGCDC_FAULT_POINTS
#define FAULT_POINT(name) fault_point(name)
#define FAULT_INTERVAL_MS(interval_ms) fault_interval_ms(interval_ms)
#else
#define FAULT_POINT(name) ((void) 0)
#define FAULT_INTERVAL_MS(interval_ms) (interval_ms)
#endif

/* Any thread. */
void fault_point(const char *name);

/*
 * What a test would have to wait for minutes for: PGCDC_INTERVAL_MS when it is set, else the interval itself.
 */
int fault_interval_ms(int interval_ms);
