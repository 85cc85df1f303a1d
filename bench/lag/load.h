/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - an open-loop load: every transaction has a due time that no answer changes.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "cdc/base/error.h"

struct load_options {
    const char *dsn;
    const char *statement; /* of one transaction; $1 is its number, a bigint, $2 its mark */
    int connections;
    int64_t rate;  /* transactions a second */
    int64_t count; /* transactions 1 to count, number 1 due soon after the start */
    const char *path;
    const atomic_bool *stop;
};

/*
 * Sends them all and waits for the commits' answers, or stops sending when it has taken twice the time. Into
 * a new file at path: due, sent and answered as three int64_t of the host's order in microseconds of
 * CLOCK_MONOTONIC, for each number from 1; sent is 0 for those that were not.
 */
MUST_CHECK bool load_run(const struct load_options *options, struct error *err);
