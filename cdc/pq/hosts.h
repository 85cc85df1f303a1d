/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.h - the servers that a dsn names, one by one.
 *
 * libpq itself tries several hosts, and the several addresses of a name. But a non-blocking connection has no
 * time limit per address, so one address that drops packets hides all that follow. So we give libpq one
 * address at a time. The settings of dsn and environment hold: the lists host, hostaddr and port,
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
    int64_t timeout_ms; /* per address; -1: none */
    /* load_balance_hosts=random: the list was shuffled, and the addresses of a name should be */
    bool shuffles;
    bool prefers_standby;
};

/* The numeric addresses of a name. */
struct host_addresses {
    char list[HOST_ADDRESSES_MAX][64];
    size_t count;
};

/* ERROR_CONFIG for a dsn that libpq cannot parse; the text never repeats a part of the dsn. */
MUST_CHECK bool hosts_read(struct hosts *hosts, const char *dsn, const char *peer, struct error *err);
void hosts_release(struct hosts *hosts);

/*
 * The addresses of a host; count 0: no name to resolve (a socket, a given address). ERROR_RETRY when the name
 * has no address now; ERROR_STOPPED.
 */
MUST_CHECK bool host_resolve(const struct hosts *hosts, const struct host *host, const atomic_bool *stop,
                             const char *peer, struct host_addresses *ret_addresses, struct error *err);
