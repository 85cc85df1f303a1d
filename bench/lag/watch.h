/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - the three places where a transaction becomes visible.
 *
 * Each returns when every transaction was seen, or *stop is true; false when it cannot go on. What the
 * reading itself costs in resolution is said on standard output in one line of JSON at the end.
 */
#pragma once

#include <stdatomic.h>

#include "bench/lag/arrivals.h"

/* A reader of public.lag in the database of the DSN, which asks every millisecond. */
MUST_CHECK bool watch_postgres(const char *dsn, struct arrivals *arrivals, const atomic_bool *stop,
                               struct error *err);

/*
 * A read_committed consumer of all partitions of the topic, from their beginning; waits until there is one.
 */
MUST_CHECK bool watch_kafka(const char *brokers, const char *topic, struct arrivals *arrivals,
                            const atomic_bool *stop, struct error *err);

/* Whatever is written into a file or a named pipe, until its end. */
MUST_CHECK bool watch_pipe(const char *path, struct arrivals *arrivals, const atomic_bool *stop,
                           struct error *err);
