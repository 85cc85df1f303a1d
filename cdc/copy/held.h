/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held.h - says before a copy that places which it appends to hold records already.
 */
#pragma once

#include "sinks/sink.h"

/* Consumers of such a topic receive the present rows again. Does nothing for a sink that does not append. */
void held_tell(struct sink *sink, const struct table *tables, size_t count);
