/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the settings that every session pins, whatever a DBA has given to a database, a role or the
 * server.
 *
 * All of pg_settings of 14 to 18 was gone through for what could change a value, an answer or a decision of
 * ours, end a session that is right to wait, or make a plan hopeless. Who may set a setting decides how it is
 * pinned:
 *
 * - any user, known since 14: in the options of the connection (SETTINGS_PINNED), so that nothing happens
 *   without it;
 * - any user, but not known to all servers: asked for and set once connected, since an unknown name in the
 *   options is refused;
 * - superusers only: set where it is not as it must be; a role that may not is told who can. It can have such
 *   a value only by a superuser's ALTER ROLE, ALTER DATABASE or postgresql.conf.
 *
 * session_replication_role is set by the sink, as triggers says (postgres.c).
 *
 * Left alone on purpose: role (a way of giving rights), work_mem, the planner's other switches and costs,
 * constraint_exclusion and enable_partition_pruning (slower, not wrong), log_* (the server's own log),
 * tcp_keepalives_* at the source (a peer that is alive answers them), default_text_search_config (a generated
 * column cannot use it), check_function_bodies (no function is created), temp_file_limit (an error that says
 * so), wal_sender_timeout (asked for and respected), lc_messages (no decision reads a message),
 * session_preload_libraries, vacuum_* and autovacuum_* (not about us), debug_* (developers' own),
 * synchronous_commit (each COMMIT of ours decides for itself, and says so in sinks/postgres/README.md).
 */
#pragma once

#include "cdc/pq/session.h"

extern const char SETTINGS_PINNED[];

/*
 * What could not stand in the options. ERROR_CONFIG when something harmful is set that this role may not
 * change.
 */
MUST_CHECK bool settings_pin(struct session *session, struct error *err);
