/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.c - parses the lists of a dsn and resolves names.
 */
#include "cdc/pq/hosts.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cdc/pq/aside.h"
#include "cdc/pq/dsn_keyword.h"

enum { DEFAULT_TIMEOUT_MS = 15000 };

/* ---- the dsn ---- */

static const char *hosts_find(const PQconninfoOption *options, const char *keyword) {
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val != NULL && option->val[0] != '\0' ? option->val : NULL;
    return NULL;
}

static size_t count_items(const char *list) {
    size_t count = 1;
    for (const char *at = list; *at != '\0'; at++)
        count += *at == ',';
    return count;
}

/* Item i of a list, on the heap; NULL when it is empty. */
static char *get_item(const char *list, size_t i) {
    const char *start = list;
    for (; i > 0; i--)
        start += strcspn(start, ",") + 1;
    const size_t length = strcspn(start, ",");
    return length == 0 ? NULL : strndup(start, length);
}

struct lists {
    const char *names, *addresses, *ports;
};

/* ",b" or "a,,b": one of the hosts is the default host, which only libpq knows. */
static bool has_empty(const char *list) {
    return list != NULL && (list[0] == ',' || strstr(list, ",,") != NULL || list[strlen(list) - 1] == ',');
}

/* One port serves every host. Lists of different length are left to libpq, which reports them. */
static bool fit(const struct lists *lists, size_t count) {
    return count <= HOSTS_MAX && !has_empty(lists->names) && !has_empty(lists->addresses) &&
           (lists->names == NULL || lists->addresses == NULL || count_items(lists->names) == count) &&
           (lists->ports == NULL || count_items(lists->ports) == 1 || count_items(lists->ports) == count);
}

static void hosts_split(struct hosts *hosts, const struct lists *lists) {
    const char *longest = lists->addresses != NULL ? lists->addresses : lists->names;
    const size_t count = longest != NULL ? count_items(longest) : 1;
    hosts->count = 1;
    if (longest == NULL || !fit(lists, count))
        return;
    hosts->count = count;
    for (size_t i = 0; i < count; i++) {
        struct host *host = &hosts->list[i];
        const bool one_port = lists->ports != NULL && count_items(lists->ports) == 1;
        host->name = lists->names != NULL ? get_item(lists->names, i) : NULL;
        host->address = lists->addresses != NULL ? get_item(lists->addresses, i) : NULL;
        host->port = lists->ports != NULL ? get_item(lists->ports, one_port ? 0 : i) : NULL;
    }
}

/* As in libpq: no limit is shorter than two seconds, and 0 means no limit. */
static int64_t timeout_of(const char *text) {
    if (text == NULL)
        return DEFAULT_TIMEOUT_MS;
    const long seconds = strtol(text, NULL, 10);
    if (seconds <= 0)
        return -1;
    return seconds == 1 ? 2000 : seconds > 86400 ? 86400000 : seconds * 1000;
}

static size_t random_below(size_t limit) {
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t) sizeof bits)
        return 0;
    return (size_t) (bits % limit);
}

static void shuffle_hosts(struct hosts *hosts) {
    for (size_t i = hosts->count; i > 1; i--) {
        const size_t other = random_below(i);
        const struct host kept = hosts->list[i - 1];
        hosts->list[i - 1] = hosts->list[other];
        hosts->list[other] = kept;
    }
}

static const char *hosts_pick(const PQconninfoOption *parsed, const PQconninfoOption *defaults,
                              const char *keyword) {
    const char *value = hosts_find(parsed, keyword);
    return value != NULL ? value : hosts_find(defaults, keyword);
}

/* Only libpq knows the content of a service file, so with one it makes the whole connection. */
static void hosts_take(struct hosts *hosts, const PQconninfoOption *parsed,
                       const PQconninfoOption *defaults) {
    const char *attributes = hosts_pick(parsed, defaults, "target_session_attrs");
    const char *balance = hosts_pick(parsed, defaults, "load_balance_hosts");
    const bool is_named = hosts_find(parsed, "host") != NULL || hosts_find(parsed, "hostaddr") != NULL;
    struct lists lists = {.names = hosts_find(parsed, "host"),
                          .addresses = hosts_find(parsed, "hostaddr"),
                          .ports = hosts_pick(parsed, defaults, "port")};
    if (!is_named && hosts_find(parsed, "service") == NULL) {
        lists.names = hosts_find(defaults, "host");
        lists.addresses = hosts_find(defaults, "hostaddr");
    }
    hosts_split(hosts, &lists);
    hosts->timeout_ms = timeout_of(hosts_pick(parsed, defaults, "connect_timeout"));
    hosts->prefers_standby = attributes != NULL && strcmp(attributes, "prefer-standby") == 0;
    hosts->shuffles = balance != NULL && strcmp(balance, "random") == 0;
    if (hosts->shuffles)
        shuffle_hosts(hosts);
}

bool hosts_read(struct hosts *hosts, const char *dsn, const char *peer, struct error *err) {
    char *message = NULL;
    *hosts = (struct hosts){0};
    PQconninfoOption *parsed = PQconninfoParse(dsn, &message);
    /* libpq's message can quote a part of the dsn, which may be the password. */
    const bool lacks_memory = parsed == NULL && dsn_lacks_memory(message);
    PQfreemem(message);
    if (lacks_memory)
        return error_no_memory(err);
    if (parsed == NULL)
        return error_set(err, ERROR_CONFIG, "the %s's dsn is not a valid connection string", peer);
    PQconninfoOption *defaults = PQconndefaults();
    hosts_take(hosts, parsed, defaults);
    PQconninfoFree(defaults);
    PQconninfoFree(parsed);
    return true;
}

void hosts_release(struct hosts *hosts) {
    for (size_t i = 0; i < hosts->count; i++) {
        free(hosts->list[i].name);
        free(hosts->list[i].address);
        free(hosts->list[i].port);
    }
    *hosts = (struct hosts){0};
}

/* ---- names ---- */

struct lookup {
    char name[256];
    int failure; /* result of getaddrinfo */
    struct host_addresses found;
};

static void keep_addresses(struct lookup *lookup, const struct addrinfo *info) {
    struct host_addresses *found = &lookup->found;
    for (; info != NULL && found->count < HOST_ADDRESSES_MAX; info = info->ai_next)
        if (getnameinfo(info->ai_addr, info->ai_addrlen, found->list[found->count], sizeof found->list[0],
                        NULL, 0, NI_NUMERICHOST) == 0)
            found->count++;
}

static void look_up_with(struct lookup *lookup, int flags) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *info = NULL;
    lookup->failure = getaddrinfo(lookup->name, NULL, &hints, &info);
    if (lookup->failure != 0)
        return;
    keep_addresses(lookup, info);
    freeaddrinfo(info);
}

static void look_up(void *context) {
    look_up_with(context, 0);
}

static void shuffle_addresses(struct host_addresses *addresses) {
    for (size_t i = addresses->count; i > 1; i--) {
        const size_t other = random_below(i);
        char kept[sizeof addresses->list[0]];
        if (other == i - 1)
            continue;
        memcpy(kept, addresses->list[i - 1], sizeof kept);
        memcpy(addresses->list[i - 1], addresses->list[other], sizeof kept);
        memcpy(addresses->list[other], kept, sizeof kept);
    }
}

static bool finish(const struct hosts *hosts, const struct lookup *lookup, const char *peer,
                   struct host_addresses *ret_addresses, struct error *err) {
    if (lookup->failure != 0 || lookup->found.count == 0)
        return error_set(err, ERROR_RETRY, "%s: could not translate host name \"%s\" to address: %s", peer,
                         lookup->name, lookup->failure != 0 ? gai_strerror(lookup->failure) : "it has none");
    *ret_addresses = lookup->found;
    if (hosts->shuffles)
        shuffle_addresses(ret_addresses);
    return true;
}

/* The name service may be slow, and the call cannot be interrupted. */
static bool ask_names(const struct hosts *hosts, struct lookup *lookup, const atomic_bool *stop,
                      const char *peer, struct host_addresses *ret_addresses, struct error *err) {
    const struct aside_call call = {.run = look_up, .release = free, .context = lookup};
    char name[sizeof lookup->name];
    memcpy(name, lookup->name, sizeof name);
    bool found = false;
    switch (aside_run(&call, stop, hosts->timeout_ms)) {
    case ASIDE_DONE:
        found = finish(hosts, lookup, peer, ret_addresses, err);
        free(lookup);
        return found;
    case ASIDE_STOPPED:
        return error_set(err, ERROR_STOPPED, "stopped while waiting for the %s", peer);
    case ASIDE_TIMED_OUT:
        return error_set(
            err, ERROR_RETRY,
            "%s: could not translate host name \"%s\" to address: no answer from the name service", peer,
            name);
    case ASIDE_FAILED:
        break;
    }
    free(lookup);
    return error_no_memory(err);
}

bool host_resolve(const struct hosts *hosts, const struct host *host, const atomic_bool *stop,
                  const char *peer, struct host_addresses *ret_addresses, struct error *err) {
    *ret_addresses = (struct host_addresses){0};
    if (host->name == NULL || host->address != NULL || host->name[0] == '/' || host->name[0] == '@')
        return true;
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return error_no_memory(err);
    snprintf(lookup->name, sizeof lookup->name, "%s", host->name);
    look_up_with(lookup, AI_NUMERICHOST);
    if (lookup->failure != 0)
        return ask_names(hosts, lookup, stop, peer, ret_addresses, err);
    bool found = finish(hosts, lookup, peer, ret_addresses, err);
    free(lookup);
    return found;
}
