/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_commit.h - commit of struct sink_ops.
 */
#pragma once

#include "sinks/sink.h"

MUST_CHECK bool postgres_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                                struct position *ret_durable, struct error *err);
