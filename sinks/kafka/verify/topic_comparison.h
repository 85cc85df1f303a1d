/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_comparison.h - the comparison of a Kafka sink (sinks/comparison.h).
 */
#pragma once

#include "sinks/comparison.h"
#include "sinks/sink.h"

/* compare of struct sink_admin_ops. */
bool topic_comparison_open(const struct sink_config *config, const struct comparison_terms *terms,
                           struct comparison **ret_comparison, struct error *err);
