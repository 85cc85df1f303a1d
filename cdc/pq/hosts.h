/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.h - the servers that a dsn names, one by one.
 *
 * libpq tries several hosts, and the several addresses of a name, by itself; but when it is not to block, it
 * gives none of them a time limit, so that one that swallows packets hides all behind it. So we give it one
 * address at a time. What the dsn and the environment say holds: host, hostaddr and port lists,
 * connect_timeout, target_session_attrs and load_balance_hosts.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

#define HOSTS_MAX 64
#define HOST_ADDRESSES_MAX 16

struct host {
    char *name;    /* NULL: libpq decides */
    char *address; /* or NULL */
    char *port;    /* or NULL: the default */
};

struct hosts {
    struct host list[HOSTS_MAX];
    size_t count;       /* at least 1 */
    int64_t timeout_ms; /* for each address; -1: none */
    /* load_balance_hosts=random: the list is in a random order, and a name's addresses should be */
    bool shuffles;
    bool prefers_standby;
};

/* The numeric addresses that a name has. */
struct host_addresses {
    char list[HOST_ADDRESSES_MAX][64];
    size_t count;
};

/* ERROR_CONFIG for a dsn that libpq cannot read; its text never repeats a part of the dsn. */
MUST_CHECK bool hosts_read(struct hosts *hosts, const char *dsn, const char *peer, struct error *err);
void hosts_release(struct hosts *hosts);

/*
 * What to connect to for a host: count 0 means that there is nothing to look up (a socket, a given address).
 * ERROR_RETRY for a name that has no address now; ERROR_STOPPED.
 */
MUST_CHECK bool host_resolve(const struct hosts *hosts, const struct host *host, const atomic_bool *stop,
                             const char *peer, struct host_addresses *ret_addresses, struct error *err);
