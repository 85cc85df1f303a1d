/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - formats a line on the stack and writes it at once, so that lines of two threads never mix. Text
 * from outside is escaped, so that it can neither end the line nor move the cursor.
 */
#include "cdc/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/visible.h"

#define LINE_MAX_BYTES 4096

static _Atomic(enum log_level) log_least = LOG_LEVEL_INFO;
/* Written once by log_init before any other thread exists; read-only after that. */
static const char *log_name = NULL;
static bool log_wipes = false; /* standard error is a terminal, on which progress may be drawn */

static const char *const LEVEL_NAMES[] = {"debug", "info ", "warn ", "error"};

void log_init(enum log_level least, const char *name) {
    log_set_level(least);
    log_name = name;
    log_wipes = isatty(STDERR_FILENO) == 1;
}

void log_set_level(enum log_level least) {
    atomic_store_explicit(&log_least, least, memory_order_relaxed);
}

enum log_level log_level(void) {
    return atomic_load_explicit(&log_least, memory_order_relaxed);
}

const char *log_level_name(enum log_level level) {
    static const char *const NAMES[] = {"debug", "info", "warning", "error"};
    return NAMES[level];
}

bool log_level_parse(const char *name, enum log_level *ret_level) {
    for (enum log_level level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++) {
        if (strcmp(name, log_level_name(level)) != 0)
            continue;
        *ret_level = level;
        return true;
    }
    return false;
}

bool log_wants(enum log_level level) {
    return level >= log_level();
}

static int format_head(char *line, size_t size, enum log_level level) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    return snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s%s", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000,
                    LEVEL_NAMES[level], log_name != NULL ? log_name : "", log_name != NULL ? ": " : "");
}

void log_line(enum log_level level, const char *format, ...) {
    if (!log_wants(level))
        return;
    static const char WIPE[] = "\033[J";
    char line[LINE_MAX_BYTES], body[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(body, sizeof body, format, arguments);
    va_end(arguments);
    size_t length = log_wipes ? sizeof WIPE - 1 : 0;
    memcpy(line, WIPE, length);
    length += (size_t) format_head(line + length, sizeof line - 1 - length, level);
    length += visible_write(line + length, sizeof line - 1 - length, slice_of(body));
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void) written; /* standard error is gone, so there is no place to report it */
}
