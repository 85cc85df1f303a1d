/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - an entry is formatted on the stack and written at once, so that lines of two threads never mix.
 *
 * The lock guards what is counted, and is held while a line is written: so lines are in the order in which
 * they were decided. Where standard error blocks, every thread that logs would block anyway.
 */
#include "cdc/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log_repeat.h"

static _Atomic(enum log_level) log_least = LOG_LEVEL_INFO;
/* Written before any other thread exists; read-only after that. */
static enum log_format log_form = LOG_FORMAT_TEXT;
static const char *log_pipeline = NULL;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_repeats log_repeats; /* guarded by log_lock */

/* ---- how ---- */

void log_set_format(enum log_format format) {
    log_form = format;
}

bool log_may_draw(void) {
    return log_form == LOG_FORMAT_TEXT && isatty(STDERR_FILENO) == 1;
}

bool log_format_parse(const char *name, enum log_format *ret_format) {
    *ret_format = strcmp(name, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    return *ret_format == LOG_FORMAT_JSON || strcmp(name, "text") == 0;
}

void log_set_level(enum log_level least) {
    atomic_store_explicit(&log_least, least, memory_order_relaxed);
}

enum log_level log_level(void) {
    return atomic_load_explicit(&log_least, memory_order_relaxed);
}

bool log_wants(enum log_level level) {
    return level >= log_level();
}

void log_begin(const char *pipeline) {
    log_repeats = (struct log_repeats){0}; /* in a child they are the parent's */
    log_pipeline = pipeline;
}

/* ---- writing ---- */

static void write_entry(const struct log_entry *entry) {
    static const char WIPE[] = "\033[J"; /* of a terminal, on which progress may be drawn */
    const size_t wipe = entry->command == NULL && log_may_draw() ? sizeof WIPE - 1 : 0;
    char line[LOG_LINE_MAX + sizeof WIPE];
    memcpy(line, WIPE, wipe);
    const size_t size =
        log_form == LOG_FORMAT_JSON ? log_format_json(entry, line) : log_format_text(entry, line + wipe);
    ssize_t written = write(STDERR_FILENO, line, wipe + size);
    (void) written; /* standard error is gone, so there is no place to report it */
}

static void write_repeat(const struct log_repeat *repeat) {
    char text[LOG_TEXT_MAX];
    log_repeat_text(repeat, text);
    write_entry(&(struct log_entry){.event = repeat->event,
                                    .unix_us = clock_unix_us(),
                                    .pipeline = log_pipeline,
                                    .sink = repeat->sink,
                                    .table = repeat->table,
                                    .lsn = repeat->lsn,
                                    .sqlstate = repeat->sqlstate,
                                    .text = text});
}

static void write_due(bool for_all) {
    struct log_repeat due;
    while (log_repeat_due(&log_repeats, clock_now_ms(), for_all, &due))
        write_repeat(&due);
}

/* Decides and writes as one step. What was counted before an error comes before it. */
static void log_take(const struct log_entry *entry, const char *key) {
    struct log_repeat lost;
    pthread_mutex_lock(&log_lock);
    write_due(false);
    if (log_repeat_make_room(&log_repeats, &lost))
        write_repeat(&lost);
    if (entry->command != NULL || log_repeat_take(&log_repeats, entry, key, clock_now_ms())) {
        write_due(log_event_level(entry->event) == LOG_LEVEL_ERROR);
        write_entry(entry);
    }
    pthread_mutex_unlock(&log_lock);
}

void log_tick(void) {
    pthread_mutex_lock(&log_lock);
    write_due(false);
    pthread_mutex_unlock(&log_lock);
}

void log_end(void) {
    pthread_mutex_lock(&log_lock);
    write_due(true);
    pthread_mutex_unlock(&log_lock);
}

/* ---- lines ---- */

static void log_text(enum log_event event, const struct log_subject *subject, const char *command,
                     const char *text) {
    char table[LOG_REPEAT_NAME_MAX];
    const struct error *error = subject->error;
    if (subject->table != NULL)
        snprintf(table, sizeof table, "%s%s%s", subject->schema != NULL ? subject->schema : "",
                 subject->schema != NULL ? "." : "", subject->table);
    const struct log_entry entry = {
        .event = event,
        .unix_us = clock_unix_us(),
        .pipeline = log_pipeline,
        .sink = subject->sink,
        .table = subject->table != NULL ? table : NULL,
        .lsn = subject->lsn != 0 || error == NULL ? subject->lsn : error->commit_lsn,
        .sqlstate = error != NULL ? error->sqlstate : NULL,
        .text = text,
        .fix = error != NULL ? error->remedy : NULL,
        .command = command,
    };
    log_take(&entry, subject->key != NULL ? subject->key : text);
}

/* Formats the text of the subject's entry, and takes it. */
static void log_format_about(enum log_event event, const struct log_subject *subject, const char *command,
                             const char *format, va_list arguments) {
    char text[LOG_TEXT_MAX];
    size_t size = 0;
    if (subject->sink != NULL)
        size = (size_t) snprintf(text, sizeof text, "sink %.*s: ", LOG_REPEAT_NAME_MAX, subject->sink);
    vsnprintf(text + size, sizeof text - size, format, arguments);
    log_text(event, subject, command, text);
}

void log_line(enum log_event event, const char *format, ...) {
    va_list arguments;
    if (!log_wants(log_event_level(event)))
        return;
    va_start(arguments, format);
    log_format_about(event, &(struct log_subject){0}, NULL, format, arguments);
    va_end(arguments);
}

void log_about(enum log_event event, const struct log_subject *subject, const char *format, ...) {
    va_list arguments;
    if (!log_wants(log_event_level(event)))
        return;
    va_start(arguments, format);
    log_format_about(event, subject, NULL, format, arguments);
    va_end(arguments);
}

void log_sink(enum log_event event, const char *sink, const char *format, ...) {
    va_list arguments;
    if (!log_wants(log_event_level(event)))
        return;
    va_start(arguments, format);
    log_format_about(event, &(struct log_subject){.sink = sink}, NULL, format, arguments);
    va_end(arguments);
}

void log_failure(const struct error *error) {
    log_text(log_event_of(error->kind), &(struct log_subject){.error = error}, NULL, error->text);
}

void log_command(enum log_event event, const char *command, const char *format, ...) {
    va_list arguments;
    if (!log_wants(log_event_level(event)))
        return;
    va_start(arguments, format);
    log_format_about(event, &(struct log_subject){0}, command != NULL ? command : "", format, arguments);
    va_end(arguments);
}

void log_command_failure(const char *command, const struct error *error) {
    log_text(log_event_of(error->kind), &(struct log_subject){.error = error}, command != NULL ? command : "",
             error->text);
}
