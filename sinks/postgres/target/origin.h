/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - a replication origin of the target, under which the sink commits.
 *
 * Another reader of the target can then leave out what came from here: source.origin: none of a pipeline,
 * origin = none of a subscription. Without it two pipelines in a circle send each change back and forth. One
 * session at a time holds an origin, and the sink has one session.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

/* The option's value, NULL without it. A name that PostgreSQL keeps for itself is ERROR_CONFIG. */
MUST_CHECK bool origin_read_option(const struct sink_config *config, const char **ret_name,
                                   struct error *err);

/*
 * From here on the session commits under the origin, which is made when it is missing. Called once the epoch
 * is raised: a session of an engine that was fenced by it, and holds the origin still, is ended.
 */
MUST_CHECK bool origin_set_up(struct session *session, const char *name, struct error *err);

/* What would keep it from that, for `pgcdc check`. */
MUST_CHECK bool origin_check(struct session *session, const char *name, const struct sink_check *check,
                             struct error *err);

/* Accepts one that is gone. */
MUST_CHECK bool origin_drop(struct session *session, const char *name, struct error *err);
