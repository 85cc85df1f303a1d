/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_page.h - /metrics: a view in Prometheus' text format.
 *
 * How many samples a family has is bounded: by the sinks (64), by the tables of a sink with a place of their
 * own (TABLE_COUNTS_MAX, PROBE_TABLES_MAX), by ACTIVITY_LEFT_OUT_MAX, PROGRESS_TABLES_MAX and LIVE_KINDS_MAX.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/http/view.h"

void metrics_page_put(const struct view *view, struct buffer *text);

/* metrics_process.c: the families of this process. */
void metrics_process_put(struct buffer *text);
