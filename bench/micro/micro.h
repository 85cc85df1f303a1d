/* SPDX-License-Identifier: Apache-2.0 */
/*
 * micro.h - one benchmark of one part of the engine, without a server: what a pass over its changes costs.
 *
 * A pass does the same every time, to the instruction, so that it can be counted. What fails aborts. One
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"

struct micro {
    const char *name;
    uint32_t changes; /* that one pass handles */
    void *(*open)(void);
    void (*pass)(void *state);
    void (*close)(void *state);
};

/* Each ends with one that has no name. */
extern const struct micro MICRO_DECODE[];
extern const struct micro MICRO_RECORD[];
extern const struct micro MICRO_RECORD_PROTOBUF_C[];
extern const struct micro MICRO_NET_EFFECT[];
extern const struct micro MICRO_CHECKPOINT[];
extern const struct micro MICRO_MAPPING[];

/* Aborts with the error's text unless done. */
void micro_must(bool done, const struct error *err);

/* Cleared memory; aborts without. */
void *micro_alloc(size_t size);
