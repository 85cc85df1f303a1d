/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_dead.h - dead letters for commands: listed, applied again, left out.
 */
#pragma once

#include "sinks/dead.h"
#include "sinks/sink.h"

extern const struct sink_dead_ops postgres_dead_ops;
