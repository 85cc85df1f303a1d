/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c - fills a struct error. Newlines become blanks and other control characters are escaped, so that an
 * error is one line of a log or one JSON string, whatever its source.
 */
#include "cdc/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/visible.h"

static void one_line(char *text, size_t size) {
    char raw[ERROR_TEXT_MAX];
    size_t length = strlen(text);
    while (length > 0 && strchr("\n\r\t ", text[length - 1]) != NULL)
        text[--length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n' || text[i] == '\r' || text[i] == '\t')
            text[i] = ' ';
    memcpy(raw, text, length);
    visible_write(text, size, (struct slice){.data = raw, .size = length});
}

bool error_set(struct error *err, enum error_kind kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    err->kind = kind;
    err->sqlstate[0] = '\0';
    err->remedy[0] = '\0';
    err->place[0] = '\0';
    err->option[0] = '\0';
    err->conflict[0] = '\0';
    err->commit_lsn = 0;
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    one_line(err->text, sizeof err->text);
    return false;
}

bool error_remedy(struct error *err, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->remedy, sizeof err->remedy, format, arguments);
    va_end(arguments);
    one_line(err->remedy, sizeof err->remedy);
    return false;
}

bool error_option(struct error *err, const char *key) {
    snprintf(err->option, sizeof err->option, "%s", key);
    return false;
}

bool error_transaction(struct error *err, lsn_t commit_lsn) {
    err->commit_lsn = commit_lsn;
    return false;
}

bool error_wrap(struct error *err, const char *format, ...) {
    char context[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context - strlen(": "), format, arguments);
    va_end(arguments);
    size_t length = strlen(context);
    memcpy(context + length, ": ", 2);
    length += 2;
    size_t kept = strnlen(err->text, sizeof err->text - 1 - length);
    memmove(err->text + length, err->text, kept);
    memcpy(err->text, context, length);
    err->text[length + kept] = '\0';
    one_line(err->text, sizeof err->text);
    return false;
}

bool error_conflict(struct error *err, const char *kind) {
    snprintf(err->conflict, sizeof err->conflict, "%s", kind);
    return error_wrap(err, "conflict %s", kind);
}

bool error_finding(struct error *err, const char *code) {
    err->finding = code;
    return false;
}

bool error_errno(struct error *err, const char *format, ...) {
    int saved_errno = errno;
    char object[ERROR_TEXT_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(object, sizeof object, format, arguments);
    va_end(arguments);
    return error_set(err, ERROR_SYSTEM, "%s: %s", object, strerror(saved_errno));
}

bool error_no_memory(struct error *err) {
    return error_set(err, ERROR_SYSTEM, "out of memory");
}

struct error_line error_line(const struct error *err) {
    struct error_line line;
    snprintf(line.text, sizeof line.text, "%s%s%s", err->text, err->remedy[0] != '\0' ? "; " : "",
             err->remedy);
    return line;
}

const char *error_kind_name(enum error_kind kind) {
    switch (kind) {
    case ERROR_NONE:
        return "none";
    case ERROR_RETRY:
        return "retry";
    case ERROR_NEEDS_TEXT:
        return "needs text";
    case ERROR_PROTOCOL:
        return "protocol";
    case ERROR_CONFIG:
        return "config";
    case ERROR_REFUSE:
        return "refused";
    case ERROR_DATA:
        return "data";
    case ERROR_SYSTEM:
        return "system";
    case ERROR_STOPPED:
        return "stopped";
    case ERROR_RUNNING:
        return "running";
    case ERROR_DIFFERENT:
        return "different";
    }
    return "unknown";
}
