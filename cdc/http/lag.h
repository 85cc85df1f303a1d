/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag.h - how far a sink is behind the source. Pure.
 *
 * With a buffer, parts[0] fills it, and parts[1 + sink] feeds one sink each; without one, parts[0] feeds all.
 */
#pragma once

#include "cdc/engine/live.h"

/* The facts of sink, its index in the configuration, and its pipeline's. */
const struct live_facts *lag_part(const struct live_facts *parts, size_t part_count, size_t sink);
const struct live_sink *lag_sink(const struct live_facts *parts, size_t part_count, size_t sink);

/*
 * Has the sink everything before this place of the source's WAL? Also true when nothing is on its way to it
 * and the stream has named the place.
 */
bool lag_has(const struct live_facts *parts, size_t part_count, size_t sink, lsn_t end_lsn);
