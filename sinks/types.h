/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h - the operations of each type of sink, for the registry only; other code asks the registry.
 */
#pragma once

#include "sinks/sink.h"

extern const struct sink_ops sink_archive;
extern const struct sink_ops sink_kafka;
extern const struct sink_ops sink_null;
extern const struct sink_ops sink_postgres;
extern const struct sink_ops sink_stdout;
