/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag.c - positions compared.
 */
#include "cdc/http/lag.h"

const struct live_facts *lag_part(const struct live_facts *parts, size_t part_count, size_t sink) {
    return part_count > 1 ? &parts[1 + sink] : &parts[0];
}

const struct live_sink *lag_sink(const struct live_facts *parts, size_t part_count, size_t sink) {
    return part_count > 1 ? &parts[1 + sink].sinks[0] : &parts[0].sinks[sink];
}

static bool has_all(const struct live_facts *part, const struct live_sink *sink, lsn_t end_lsn) {
    if (sink->durable_lsn >= end_lsn)
        return true;
    return part->phase == LIVE_STREAMING && !sink->is_busy && !sink->is_open &&
           sink->visible_lsn >= sink->written_lsn && part->received_lsn >= end_lsn;
}

bool lag_has(const struct live_facts *parts, size_t part_count, size_t sink, lsn_t end_lsn) {
    const struct live_facts *part = lag_part(parts, part_count, sink);
    const struct live_sink *facts = lag_sink(parts, part_count, sink);
    if (part_count == 1)
        return has_all(part, facts, end_lsn);
    const struct live_sink *buffer = &parts[0].sinks[0];
    return facts->durable_lsn >= end_lsn ||
           (has_all(&parts[0], buffer, end_lsn) && has_all(part, facts, buffer->durable_lsn));
}
