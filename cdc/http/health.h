/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - what an orchestrator asks, answered by progress. Pure: a view in, words out.
 *
 * The first line says yes or no; each line after it is a reason. A reason names tables, sinks and LSNs, and
 * never a row's value.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/http/view.h"

/* Do the engine's threads turn? A server that is away is no reason: a restart would not bring it back. */
bool health_is_live(const struct view *view, struct buffer *words);

/* Does every change reach every sink? Also true, with lines, when that costs something: degraded. */
bool health_is_ready(const struct view *view, struct buffer *words);

/* Its two halves: what makes it false, and what only costs something. */
bool health_put_reasons(const struct view *view, struct buffer *words);
void health_put_degraded(const struct view *view, struct buffer *words);

/* Has the stream begun, with every row copied? Once true, it stays so: the caller keeps view->has_started. */
bool health_has_started(const struct view *view, struct buffer *words);
