/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_state.h - what a service manager is told, from what the engine knows about itself. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/engine/live.h"

enum { SERVICE_SENTENCE_MAX = 512 };

/* Is every sink open, and do rows or changes flow, in every part? */
bool service_is_ready(const struct live_facts *parts, size_t count);

/* Do the engine's threads turn? As /livez: a server that is away or frozen is no reason. */
bool service_is_alive(const struct live_facts *parts, size_t count, int64_t now_ms, int64_t quiet_max_ms);

/* One line of what happens now, as of the part that is behind most. No row's value, and no secret. */
void service_sentence(const struct live_facts *parts, size_t count, int64_t unix_us,
                      char sentence[static SERVICE_SENTENCE_MAX]);
