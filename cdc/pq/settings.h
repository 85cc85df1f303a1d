/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the settings that every session pins, whatever defaults a database, a role or the server has.
 *
 * All of pg_settings of 14 to 18 was reviewed for settings that could change a value, an answer or a decision
 * of ours, end a session that is right to wait, or make a plan hopeless. How a setting is pinned depends on
 * who may set it:
 *
 * - any user, known since 14: in the options of the connection (SETTINGS_PINNED), so that no statement runs
 *   without it;
 * - any user, but not known to every server: queried and set once connected, since a server refuses an
 *   unknown name in the options;
 * - superusers only: set when it has another value. A role that may not set it gets an error that names the
 *   remedy. The role can have such a value only by a superuser's ALTER ROLE, ALTER DATABASE or
 *   postgresql.conf.
 *
 * The sink sets session_replication_role, according to its key triggers (postgres.c).
 *
 * Left alone on purpose: role (a way to grant rights), work_mem, the planner's other switches and costs,
 * constraint_exclusion and enable_partition_pruning (slower, not wrong), log_* (the server's own log),
 * tcp_keepalives_* at the source (a peer that is alive answers them), default_text_search_config (a generated
 * column cannot use it), check_function_bodies (we create no function), temp_file_limit (its error explains
 * itself), wal_sender_timeout (queried and respected), lc_messages (no decision reads a message),
 * session_preload_libraries, vacuum_* and autovacuum_* (no effect on us), debug_* (for developers),
 * synchronous_commit (each of our COMMITs decides for itself; see sinks/postgres/README.md).
 */
#pragma once

#include "cdc/pq/session.h"

extern const char SETTINGS_PINNED[];

/*
 * Sets what the options could not. ERROR_CONFIG when a harmful setting is in force that this role may not
 * change.
 */
MUST_CHECK bool settings_pin(struct session *session, struct error *err);
