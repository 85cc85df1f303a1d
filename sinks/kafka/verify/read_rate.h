/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_rate.h - reads no more bytes a second than wanted, to spare the servers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

struct read_rate {
    uint64_t bytes_max; /* a second; 0: no limit */
    const atomic_bool *stop;
    int64_t since_ms;
    uint64_t bytes; /* since then */
};

/* Bytes were read: pauses until they may have been. ERROR_STOPPED soon after the stop. */
MUST_CHECK bool read_rate_spend(struct read_rate *rate, uint64_t bytes, struct error *err);
