/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rejected.h - pgcdc.rejected: the rows that a policy has set aside, and why.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

/* Creates the table if it does not exist. */
MUST_CHECK bool rejected_open(struct session *session, struct error *err);

/* How many rows it has, and of which tables. None: also without the table. */
MUST_CHECK bool rejected_look(struct session *session, struct sink_view *view, struct error *err);
