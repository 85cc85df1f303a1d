/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.c - tries hosts and their addresses in turn.
 */
#include "cdc/pq/connect.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/pq/hosts.h"
#include "cdc/pq/refusal.h"

void connect_parameters_add(struct connect_parameters *parameters, const char *keyword, const char *value) {
    assert(parameters->count < CONNECT_PARAMETERS_MAX);
    parameters->keywords[parameters->count] = keyword;
    parameters->values[parameters->count] = value;
    parameters->count++;
}

/* Shared by all addresses of one attempt to connect. */
struct walk {
    struct session *session;
    const struct connect_parameters *parameters;
    const struct hosts *hosts;
    const char *attributes; /* target_session_attrs, or NULL: as in the dsn */
    size_t tried;
};

static bool is_in_time(const struct walk *walk, int64_t deadline_ms, struct error *err) {
    const PGconn *conn = walk->session->conn;
    if (clock_now_ms() < deadline_ms)
        return true;
    return error_set(err, ERROR_RETRY, "no answer from the %s at %s port %s within %d s", walk->session->peer,
                     PQhost(conn), PQport(conn), (int) (walk->hosts->timeout_ms / 1000));
}

static bool poll_connection(const struct walk *walk, struct error *err) {
    struct session *session = walk->session;
    const int64_t deadline_ms =
        walk->hosts->timeout_ms < 0 ? INT64_MAX : clock_now_ms() + walk->hosts->timeout_ms;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        bool ready = false;
        if (!is_in_time(walk, deadline_ms, err) ||
            !session_wait_for(session, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, 500, &ready, err))
            return false;
        if (ready)
            status = PQconnectPoll(session->conn);
    }
    return status == PGRES_POLLING_OK ? true : refusal_read(session->conn, session->peer, err);
}

static bool try_address(struct walk *walk, const struct host *host, const char *address, struct error *err) {
    struct session *session = walk->session;
    struct connect_parameters parameters = *walk->parameters;
    walk->tried++;
    if (host->name != NULL)
        connect_parameters_add(&parameters, "host", host->name);
    if (address != NULL)
        connect_parameters_add(&parameters, "hostaddr", address);
    if (host->port != NULL)
        connect_parameters_add(&parameters, "port", host->port);
    if (walk->attributes != NULL)
        connect_parameters_add(&parameters, "target_session_attrs", walk->attributes);
    session->conn = PQconnectStartParams(parameters.keywords, parameters.values, 1);
    if (session->conn == NULL)
        return error_no_memory(err);
    PQsetErrorVerbosity(session->conn, PQERRORS_VERBOSE);
    if (PQstatus(session->conn) == CONNECTION_BAD)
        return refusal_read(session->conn, session->peer, err);
    if (!poll_connection(walk, err))
        return false;
    PQsetErrorVerbosity(session->conn, PQERRORS_DEFAULT);
    return true;
}

/* A server that knows the role and refuses it is not asked under another name. */
static bool may_go_on(const struct error *err) {
    return err->kind == ERROR_RETRY && (err->sqlstate[0] == '\0' || strcmp(err->sqlstate, "57P03") == 0);
}

/* Keeps the reasons of earlier addresses: each has its own. */
static void add_reason(struct error *err, const struct error *reason, bool is_first) {
    char before[ERROR_TEXT_MAX];
    if (is_first || reason->kind == ERROR_STOPPED) {
        *err = *reason;
        return;
    }
    memcpy(before, err->text, sizeof before);
    *err = *reason;
    snprintf(err->text, sizeof err->text, "%.1000s; %.1000s", before, reason->text);
}

static bool try_and_note(struct walk *walk, const struct host *host, const char *address, bool *goes_on,
                         struct error *err) {
    struct error reason = {0};
    const bool is_first = walk->tried == 0;
    if (try_address(walk, host, address, &reason))
        return true;
    session_close(walk->session);
    add_reason(err, &reason, is_first);
    *goes_on = may_go_on(&reason);
    return false;
}

static bool try_host(struct walk *walk, const struct host *host, bool *goes_on, struct error *err) {
    struct host_addresses addresses;
    struct error reason = {0};
    if (!host_resolve(walk->hosts, host, walk->session->stop, walk->session->peer, &addresses, &reason)) {
        add_reason(err, &reason, walk->tried++ == 0);
        *goes_on = reason.kind == ERROR_RETRY;
        return false;
    }
    if (addresses.count == 0)
        return try_and_note(walk, host, host->address, goes_on, err);
    for (size_t i = 0; i < addresses.count && *goes_on; i++)
        if (try_and_note(walk, host, addresses.list[i], goes_on, err))
            return true;
    return false;
}

static bool try_hosts(struct walk *walk, bool *goes_on, struct error *err) {
    for (size_t i = 0; i < walk->hosts->count && *goes_on; i++)
        if (try_host(walk, &walk->hosts->list[i], goes_on, err))
            return true;
    return false;
}

bool connect_session(struct session *session, const struct connect_parameters *parameters, const char *dsn,
                     struct error *err) {
    struct hosts hosts AUTO(hosts_release);
    bool goes_on = true;
    if (!hosts_read(&hosts, dsn, session->peer, err))
        return false;
    if (session->connect_ms_max > 0 && (hosts.timeout_ms < 0 || hosts.timeout_ms > session->connect_ms_max))
        hosts.timeout_ms = session->connect_ms_max;
    struct walk walk = {.session = session, .parameters = parameters, .hosts = &hosts};
    walk.attributes = hosts.prefers_standby ? "standby" : NULL;
    if (try_hosts(&walk, &goes_on, err))
        return true;
    if (!hosts.prefers_standby || !goes_on)
        return false;
    walk.attributes = "any";
    return try_hosts(&walk, &goes_on, err);
}
