/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns_file.h - NAME.SINK.columns: what a sink's mapping notes about the columns of its rules
 * (sinks/mapping/rule_columns.h).
 */
#pragma once

#include "cdc/base/error.h"
#include "sinks/sink.h"

struct columns_file {
    struct sink_memory memory;
    const char *directory;
    const char *pipeline;
    const char *sink;
};

/* The texts must outlive it. */
struct columns_file columns_file_of(const char *directory, const char *pipeline, const char *sink);

/* True also when there is none. */
MUST_CHECK bool columns_file_remove(const char *directory, const char *pipeline, const char *sink,
                                    struct error *err);
