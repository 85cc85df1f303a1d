/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - a replication origin of the target, under which the sink commits.
 *
 * Another reader of the target's WAL can then leave out these changes: with source.origin: none in a
 * pipeline, or origin = none in a subscription. Without it, two pipelines in opposite directions would send
 * each change back and forth. Only one session at a time can hold an origin, and the sink has one session.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

/* The option's value, or NULL without it. ERROR_CONFIG for a name that PostgreSQL reserves. */
MUST_CHECK bool origin_read_option(const struct sink_config *config, const char **ret_name,
                                   struct error *err);

/*
 * From here on the session commits under the origin, which is created when missing. Called after the epoch
 * is raised: if the session of an engine that this fenced still holds the origin, that session is ended.
 */
MUST_CHECK bool origin_set_up(struct session *session, const char *name, struct error *err);

/*
 * After origin_set_up: the number by which the server knows the origin in pg_xact_commit_timestamp_origin.
 * ERROR_CONFIG when the server does not store origins with commits.
 */
MUST_CHECK bool origin_find(struct session *session, const char *name, uint16_t *ret_id, struct error *err);

/* For `pgcdc check`: reports what would prevent origin_set_up, and with detects also origin_find. */
MUST_CHECK bool origin_check(struct session *session, const char *name, bool detects,
                             const struct sink_check *check, struct error *err);

/* Drops the origin; accepts one that does not exist. */
MUST_CHECK bool origin_drop(struct session *session, const char *name, struct error *err);
