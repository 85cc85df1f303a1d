/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text.h - Prometheus' text format, version 0.0.4.
 *
 *     # HELP pgcdc_lag_bytes ...
 *     # TYPE pgcdc_lag_bytes gauge
 *     pgcdc_lag_bytes{sink="warehouse"} 0
 */
#pragma once

#include <stdint.h>

#include "cdc/base/buffer.h"
#include "cdc/engine/latency.h"

struct metric_label {
    const char *name;
    const char *value; /* any text; it is escaped, and replaced when it is not UTF-8 */
};

/* Ends with name NULL. */
#define METRIC_LABELS(...) ((const struct metric_label[]) {__VA_ARGS__, {0}})
#define METRIC_NO_LABELS ((const struct metric_label[]) {{0}})

/* Before the family's samples. type: "gauge", "counter", "histogram". */
void metric_begin(struct buffer *text, const char *name, const char *type, const char *help);

void metric_put(struct buffer *text, const char *name, const struct metric_label *labels, uint64_t value);
void metric_put_seconds(struct buffer *text, const char *name, const struct metric_label *labels, int64_t us);

/* The samples of one histogram, of at most METRIC_LABELS_MAX labels. */
void metric_put_latency(struct buffer *text, const char *name, const struct metric_label *labels,
                        const struct latency_view *latency);
