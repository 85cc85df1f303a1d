/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_sample.h - some rows of a table as a sink would get them, as lines of JSON on standard output.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"
#include "sinks/table.h"

enum { SAMPLE_ROWS = 5 };

/* source: without an open transaction. Errors: those of the mapping, and ERROR_SYSTEM of the output. */
MUST_CHECK bool map_sample_print(struct session *source, const struct table *table,
                                 const struct sink_config *sink, const atomic_bool *stop, struct error *err);
