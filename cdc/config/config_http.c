/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_http.c - reads the section http.
 *
 * An address is a number, never a name: a name can stand for several addresses, and for others tomorrow.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/config/config_read.h"

enum { STALLED_DEFAULT_MS = 10000, STALLED_MIN_MS = 1000, PORT_MAX = 65535, PORT_DIGITS_MAX = 5 };

#define EXPECTED "expected a numeric address and a port: 127.0.0.1:9187 or [::1]:9187"

const struct option_spec HTTP_OPTIONS[] = {
    {"listen", true,
     "while `run` runs, serves a page for browsers, `/metrics`, `/livez`, `/readyz` and `/startupz` at this "
     "address and port, `127.0.0.1:9187` or `[::1]:9187`: plain HTTP, without a password",
     OPTION_TEXT, NULL},
    {"stalled_after", false,
     "`/readyz` says no when changes wait for a sink and it has taken none for so long", OPTION_TEXT, "`10s`",
     .reloads = true},
    {0},
};

static bool is_port(const char *text, uint16_t *ret_port) {
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > PORT_DIGITS_MAX || text[digits] != '\0')
        return false;
    const unsigned long port = strtoul(text, NULL, 10);
    *ret_port = (uint16_t) port;
    return port > 0 && port <= PORT_MAX;
}

static bool is_address(const char *host, bool is_bracketed) {
    struct in6_addr address;
    return inet_pton(is_bracketed ? AF_INET6 : AF_INET, host, &address) == 1;
}

static bool read_listen(const struct section *section, struct http_config *http, struct error *err) {
    if (!section_text(section, "listen", &http->listen, err))
        return false;
    const char *colon = strrchr(http->listen, ':');
    const size_t size = colon != NULL ? (size_t) (colon - http->listen) : 0;
    const bool is_bracketed = size > 2 && http->listen[0] == '[' && colon[-1] == ']';
    const char *begin = http->listen + (is_bracketed ? 1 : 0);
    char *host = colon != NULL
                     ? arena_copy(section->file->arena, (struct slice){begin, size - (is_bracketed ? 2 : 0)})
                     : NULL;
    if (colon != NULL && host == NULL)
        return error_no_memory(err);
    if (host == NULL || !is_port(colon + 1, &http->port) || !is_address(host, is_bracketed))
        return section_error(section, "listen", NULL, err, EXPECTED);
    http->host = host;
    return true;
}

static bool read_stalled(const struct section *section, struct http_config *http, struct error *err) {
    const char *text = NULL;
    if (!section_text(section, "stalled_after", &text, err))
        return false;
    return text == NULL ||
           (amount_parse_duration(text, &http->stalled_ms) && http->stalled_ms >= STALLED_MIN_MS) ||
           section_error(section, "stalled_after", NULL, err, "expected a duration of at least 1s: 10s");
}

bool config_read_http(const struct section *root, struct config *config, struct error *err) {
    struct section section;
    config->http = (struct http_config){.stalled_ms = STALLED_DEFAULT_MS};
    if (!section_has(root, "http"))
        return true;
    if (!section_open(root, "http", &section, err) ||
        !section_check(&section, HTTP_OPTIONS, NULL, NULL, err) ||
        !read_listen(&section, &config->http, err) || !read_stalled(&section, &config->http, err))
        return false;
    if (!CONFIG_HAS_HTTP) {
        section_error(&section, "listen", NULL, err, "this pgcdc was built without libmicrohttpd");
        return error_remedy(err, "remove the section http, or build with `meson setup -Dhttp=enabled`");
    }
    if (config->migrate.database_count > 0)
        return section_error(&section, "listen", NULL, err,
                             "with migrate.databases there is a process for each database, and one address "
                             "cannot be that of all; remove the section http");
    return true;
}
