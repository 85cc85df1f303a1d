/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c - sessions to the source, and its identity.
 */
#include "cdc/source/source.h"

#include "cdc/base/start_over.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without a dsn libpq would connect to a server of this machine. */
static bool refuse_archive(const struct source_config *config, struct error *err) {
    error_set(err, ERROR_CONFIG, "the pipeline reads archive %s, and there is no source to connect to",
              config->archive);
    return error_remedy(err, "give this command the configuration of the pipeline that writes the archive");
}

bool source_open(struct session *session, const struct source_config *config, const atomic_bool *stop,
                 struct error *err) {
    const struct session_options options = {.dsn = config->dsn,
                                            .password_file = config->password_file,
                                            .peer = "source",
                                            .application = config->application,
                                            .stop = stop};
    return config->dsn != NULL ? session_open(session, &options, err) : refuse_archive(config, err);
}

bool source_open_replication(struct session *session, const struct source_config *config,
                             const atomic_bool *stop, struct error *err) {
    char gucs[256];
    snprintf(gucs, sizeof gucs, "-c logical_decoding_work_mem=%s", config->decoding_work_mem);
    const struct session_options options = {.dsn = config->dsn,
                                            .password_file = config->password_file,
                                            .peer = "source",
                                            .application = config->application,
                                            .gucs = gucs,
                                            .replication = true,
                                            .stop = stop};
    return config->dsn != NULL ? session_open(session, &options, err) : refuse_archive(config, err);
}

bool source_identify(struct session *replication, struct source_identity *ret_identity, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_simple_query(replication, "IDENTIFY_SYSTEM",
                              &(const struct result_shape){"IDENTIFY_SYSTEM", 1, 1, 4, 0}, &result, err))
        return false;
    struct source_identity identity = {0};
    if (!lsn_parse(PQgetvalue(result, 0, 2), &identity.flush_lsn))
        return error_set(err, ERROR_PROTOCOL, "source: unexpected answer to IDENTIFY_SYSTEM");
    identity.is_standby = session_is_standby(replication);
    identity.system_id = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    identity.timeline = (uint32_t) strtoul(PQgetvalue(result, 0, 1), NULL, 10);
    snprintf(identity.database, sizeof identity.database, "%s", PQgetvalue(result, 0, 3));
    *ret_identity = identity;
    return true;
}

/* A line of a history file: parent timeline, LSN of the switch, reason. '#' begins a comment. */
static bool find_fork(const char *history, uint32_t timeline, lsn_t *ret_fork_lsn) {
    for (const char *line = history; line != NULL && *line != '\0';) {
        uint32_t parent = 0, high = 0, low = 0;
        if (sscanf(line, "%" SCNu32 " %" SCNx32 "/%" SCNx32, &parent, &high, &low) == 3 &&
            parent == timeline) {
            *ret_fork_lsn = (lsn_t) high << 32 | low;
            return true;
        }
        line = strchr(line, '\n');
        line += line != NULL ? 1 : 0;
    }
    return false;
}

bool source_fork_lsn(struct session *replication, const struct source_identity *identity, uint32_t timeline,
                     lsn_t *ret_fork_lsn, struct error *err) {
    if (timeline == identity->timeline) {
        *ret_fork_lsn = 0;
        return true;
    }
    lsn_t fork_lsn = 0;
    if (timeline < identity->timeline) {
        char command[64];
        PGresult *result AUTO_PGRESULT = NULL;
        snprintf(command, sizeof command, "TIMELINE_HISTORY %" PRIu32, identity->timeline);
        if (!session_simple_query(replication, command,
                                  &(const struct result_shape){"TIMELINE_HISTORY", 1, 1, 2, 0}, &result, err))
            return false;
        if (find_fork(PQgetvalue(result, 0, 1), timeline, &fork_lsn)) {
            *ret_fork_lsn = fork_lsn;
            return true;
        }
    }
    return error_set(err, ERROR_REFUSE,
                     "source: the position was reached on timeline %" PRIu32
                     ", which is not in the history of the server's "
                     "timeline %" PRIu32 "; it belongs to another server",
                     timeline, identity->timeline) ||
           error_remedy(err, "connect to the right server, or " START_OVER);
}

bool source_check_version(const struct session *session, struct error *err) {
    if (session->server_version >= SERVER_VERSION_MIN)
        return true;
    error_set(err, ERROR_CONFIG, "the source is PostgreSQL %d; pgcdc reads from 14 and later",
              session->server_version / 10000);
    return error_remedy(err, "upgrade the source");
}

bool source_sender_timeout(struct session *replication, int *ret_timeout_ms, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_simple_query(replication, "SHOW wal_sender_timeout",
                              &(const struct result_shape){"SHOW wal_sender_timeout", 1, 1, 1, 0}, &result,
                              err))
        return false;
    char *unit = NULL;
    double value = strtod(PQgetvalue(result, 0, 0), &unit);
    if (strcmp(unit, "min") == 0)
        value *= 60000;
    else if (strcmp(unit, "s") == 0)
        value *= 1000;
    else if (strcmp(unit, "h") == 0)
        value *= 3600000;
    else if (strcmp(unit, "d") == 0)
        value *= 86400000;
    *ret_timeout_ms = value > 86400000 ? 86400000 : (int) value;
    return true;
}
