/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.c - parses libpq's verbose text.
 */
#include "cdc/pq/refusal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CODE_BYTES = 5 };

/* An unknown reason is retried: the next attempt costs little, and giving up can cost an operator a night. */
static bool is_for_operators(const char *sqlstate) {
    static const char *const CODES[] = {
        "28000", /* no line in pg_hba.conf, no such role, or a role without LOGIN */
        "28P01", /* the password */
        "3D000", /* no such database */
        "42501", /* no right to connect or to replicate */
        "42704", /* the dsn's options: an unknown setting */
        "22023", /* the dsn's options: a wrong value */
        "55P02", /* the dsn's options: a setting that cannot be changed there */
        "0A000", /* a protocol or feature that this server does not support */
    };
    for (size_t i = 0; i < sizeof CODES / sizeof CODES[0]; i++)
        if (strcmp(sqlstate, CODES[i]) == 0)
            return true;
    return false;
}

/* Reasons of libpq itself, in its words. */
static bool is_local_refusal(const char *text) {
    static const char *const SIGNS[] = {"certificate",
                                        "private key",
                                        "does not support SSL, but SSL was required",
                                        "SSL was required",
                                        "no password supplied",
                                        "tlsv1 alert",
                                        "sslv3 alert",
                                        "no protocols available",
                                        "unsupported protocol",
                                        "invalid sslmode",
                                        "invalid port number",
                                        "could not match",
                                        "value for connection option",
                                        "invalid target_session_attrs",
                                        "channel binding is required"};
    for (size_t i = 0; i < sizeof SIGNS / sizeof SIGNS[0]; i++)
        if (strstr(text, SIGNS[i]) != NULL)
            return true;
    return strstr(text, "invalid ") != NULL && strstr(text, " value: \"") != NULL;
}

/* ":  28P01: ": after the severity, which is in the server's language. */
static const char *find_code(const char *line, size_t length) {
    for (const char *at = line; at + CODE_BYTES + 5 <= line + length; at++) {
        if (memcmp(at, ":  ", 3) != 0 || memcmp(at + 3 + CODE_BYTES, ": ", 2) != 0)
            continue;
        bool is_code = true;
        for (int i = 0; i < CODE_BYTES; i++)
            is_code = is_code && (isdigit((unsigned char) at[3 + i]) || isupper((unsigned char) at[3 + i]));
        if (is_code)
            return at + 3;
    }
    return NULL;
}

static bool begins_with(const char *line, const char *word) {
    return strncmp(line, word, strlen(word)) == 0;
}

static bool is_detail(const char *line) {
    return begins_with(line, "LOCATION:") || begins_with(line, "DETAIL:") || begins_with(line, "HINT:") ||
           begins_with(line, "CONTEXT:") || begins_with(line, "QUERY:") || begins_with(line, "STATEMENT:");
}

static void refusal_append(char *text, size_t size, const char *bytes, size_t length) {
    const size_t used = strlen(text);
    const size_t room = size - 1 - used;
    const size_t taken = length < room ? length : room;
    memcpy(text + used, bytes, taken);
    text[used + taken] = '\0';
}

struct parsed {
    char text[ERROR_TEXT_MAX];
    char sqlstate[CODE_BYTES + 1];
    char place[sizeof((struct error *) NULL)->place];
};

/* LOCATION:  ClientAuthentication, auth.c:447 */
static void take_place(struct parsed *parsed, const char *line, size_t length) {
    static const char LOCATION[] = "LOCATION:  ";
    const size_t head = sizeof LOCATION - 1;
    if (length <= head || memcmp(line, LOCATION, head) != 0 || parsed->sqlstate[0] == '\0')
        return;
    const char *comma = memchr(line + head, ',', length - head);
    const size_t size = comma != NULL ? (size_t) (comma - line) - head : length - head;
    snprintf(parsed->place, sizeof parsed->place, "%.*s", (int) size, line + head);
}

/* libpq's lines are sentences without a full stop; all but the first may be indented. */
static void join(struct parsed *parsed, const char **line, size_t *length) {
    const size_t used = strlen(parsed->text);
    if (used == 0)
        return;
    while (*length > 0 && (**line == '\t' || **line == ' ')) {
        ++*line;
        --*length;
    }
    const bool ended = strchr(".,;:?!", parsed->text[used - 1]) != NULL;
    refusal_append(parsed->text, sizeof parsed->text, ended ? " " : ". ", ended ? 1 : 2);
}

/* The last refusal counts: with sslmode=prefer there are two, and only the second is final. */
static void take_line(struct parsed *parsed, const char *line, size_t length) {
    const char *code = find_code(line, length);
    take_place(parsed, line, length);
    if (is_detail(line))
        return;
    join(parsed, &line, &length);
    if (code == NULL) {
        refusal_append(parsed->text, sizeof parsed->text, line, length);
        return;
    }
    memcpy(parsed->sqlstate, code, CODE_BYTES);
    refusal_append(parsed->text, sizeof parsed->text, line, (size_t) (code - line));
    refusal_append(parsed->text, sizeof parsed->text, code + CODE_BYTES + 2,
                   length - (size_t) (code - line) - CODE_BYTES - 2);
}

bool refusal_parse(const char *message, const char *peer, struct error *err) {
    struct parsed parsed = {0};
    const size_t size = strnlen(message, 16384); /* of a text whose length the server decides */
    for (const char *line = message; line < message + size;) {
        const size_t left = (size_t) (message + size - line);
        const char *end = memchr(line, '\n', left);
        const size_t length = end != NULL ? (size_t) (end - line) : left;
        take_line(&parsed, line, length);
        line += length + 1;
    }
    const bool config =
        parsed.sqlstate[0] != '\0' ? is_for_operators(parsed.sqlstate) : is_local_refusal(parsed.text);
    error_set(err, config ? ERROR_CONFIG : ERROR_RETRY, "%s: %s%s%s%s", peer,
              parsed.text[0] != '\0' ? parsed.text : "the connection was lost",
              parsed.sqlstate[0] != '\0' ? " (SQLSTATE " : "", parsed.sqlstate,
              parsed.sqlstate[0] != '\0' ? ")" : "");
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", parsed.sqlstate);
    snprintf(err->place, sizeof err->place, "%s", parsed.place);
    return false;
}

bool refusal_read(const PGconn *conn, const char *peer, struct error *err) {
    refusal_parse(PQerrorMessage(conn), peer, err);
    if (err->kind == ERROR_RETRY && err->sqlstate[0] == '\0' && PQconnectionNeedsPassword(conn) != 0)
        err->kind = ERROR_CONFIG;
    return false;
}
