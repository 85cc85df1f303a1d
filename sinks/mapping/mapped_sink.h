/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_sink.h - a sink that maps what it gets, and gives it to another one.
 *
 * The engine calls it as it would call the other one, so the mapping is one stage before every type of sink,
 * and a sink without rules has none.
 */
#pragma once

#include "sinks/sink.h"

/*
 * The operations of a sink with a mapping: sink_config.mapping and sink_config.mapped must be set. In arena;
 * NULL when memory is exhausted.
 */
const struct sink_ops *mapped_sink_ops(const struct sink_ops *mapped, struct arena *arena);
