/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - how a function says that it did not do what it was asked.
 *
 * A function that can fail returns bool and takes a struct error last. True: *err is untouched. False: *err
 * holds what happened, in one line, and a kind that is the caller's next step.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/lsn.h"

enum error_kind {
    ERROR_NONE = 0,
    ERROR_RETRY, /* close, wait, reopen, resume from the positions: the one recovery path */
    /* the peer broke the protocol: damage on the way, or a bug there or here; retried a few times */
    ERROR_PROTOCOL,
    ERROR_NEEDS_TEXT, /* the other side does not take binary values: as RETRY, with values in text */
    ERROR_CONFIG,     /* an operator must change configuration, rights or schema */
    ERROR_REFUSE,     /* going on would lose or repeat data */
    ERROR_DATA,       /* this change cannot be applied */
    ERROR_SYSTEM,     /* the operating system said no: memory, disk, descriptors */
    ERROR_STOPPED,    /* the caller asked for the stop */
    ERROR_RUNNING,    /* another engine runs this pipeline */
};

#define ERROR_TEXT_MAX 2048
#define ERROR_REMEDY_MAX 1024

struct error {
    enum error_kind kind;
    char sqlstate[6]; /* the server's code, or "" */
    char place[40];   /* the server's function that said no, the same in every language, or "" */
    char option[128]; /* the key of the configuration that is at fault, or "" */
    /* where the commit record of the transaction that does not fit begins; 0: it is about none */
    lsn_t commit_lsn;
    char conflict[32];             /* the kind of conflict, as PostgreSQL names it, or "" */
    char text[ERROR_TEXT_MAX];     /* what happened */
    char remedy[ERROR_REMEDY_MAX]; /* what an operator does about it, or "" */
};

/* Both in one line, for a log or a terminal: "text; remedy". */
struct error_line {
    char text[ERROR_TEXT_MAX + ERROR_REMEDY_MAX + 2];
};

/*
 * Sets *err, whatever it held, without a remedy, and returns false. text: lower case, one line, the object
 * and the reason.
 */
bool error_set(struct error *err, enum error_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);

/* Says what to do about the error that *err holds, in place of what was said before; returns false. */
bool error_remedy(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Says which key of the configuration is at fault; returns false. */
bool error_option(struct error *err, const char *key);

/* Says which transaction does not fit; returns false. */
bool error_transaction(struct error *err, lsn_t commit_lsn);

/* Says which kind of conflict it is, in the text, too; returns false. */
bool error_conflict(struct error *err, const char *kind);

/* Puts context before the text, "context: text", keeps everything else, and returns false. */
bool error_wrap(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* ERROR_SYSTEM with errno's text after the formatted object; returns false. */
bool error_errno(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* ERROR_SYSTEM "out of memory"; returns false. */
bool error_no_memory(struct error *err);

struct error_line error_line(const struct error *err);

const char *error_kind_name(enum error_kind kind);
