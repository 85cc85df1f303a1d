/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - how a function reports failure.
 *
 * A function that can fail returns bool, and its last parameter is a struct error. True: *err is untouched.
 * False: *err holds one line about what happened, and a kind that tells the caller the next step.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/lsn.h"

enum error_kind {
    ERROR_NONE = 0,
    ERROR_RETRY, /* close, wait, reopen, resume from the positions: the one recovery path */
    /* the peer broke the protocol: data was damaged in transit, or there is a bug; retried a few times */
    ERROR_PROTOCOL,
    ERROR_NEEDS_TEXT, /* the other side does not accept binary values: retry with values in text */
    ERROR_CONFIG,     /* an operator must change configuration, rights or schema */
    ERROR_REFUSE,     /* continuing would lose or repeat data */
    ERROR_DATA,       /* this change cannot be applied */
    ERROR_SYSTEM,     /* the operating system refused: memory, disk, descriptors */
    ERROR_STOPPED,    /* the caller asked for the stop */
    ERROR_RUNNING,    /* another engine runs this pipeline */
    ERROR_DIFFERENT,  /* a count that must close does not: a change was lost inside the program */
};

#define ERROR_TEXT_MAX 2048
#define ERROR_REMEDY_MAX 1024

struct error {
    enum error_kind kind;
    char sqlstate[6]; /* the server's code, or "" */
    char place[40];   /* the server's function that reported the error, the same in every language, or "" */
    char option[128]; /* the key of the configuration that is at fault, or "" */
    /* where the commit record of the transaction that cannot be applied begins; 0: no transaction */
    lsn_t commit_lsn;
    char conflict[32];             /* the kind of conflict, as PostgreSQL names it, or "" */
    const char *finding;           /* the code of check's finding about the same cause, or NULL; static */
    char text[ERROR_TEXT_MAX];     /* what happened */
    char remedy[ERROR_REMEDY_MAX]; /* what an operator should do about it, or "" */
};

/* Both in one line, for a log or a terminal: "text; remedy". */
struct error_line {
    char text[ERROR_TEXT_MAX + ERROR_REMEDY_MAX + 2];
};

/*
 * Sets *err, replacing its content, without a remedy, and returns false. text: lower case, one line, the
 * object and the reason.
 */
bool error_set(struct error *err, enum error_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);

/* Sets the remedy of the error in *err, replacing an earlier one; returns false. */
bool error_remedy(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Names the configuration key that is at fault; returns false. */
bool error_option(struct error *err, const char *key);

/* Names the transaction that cannot be applied; returns false. */
bool error_transaction(struct error *err, lsn_t commit_lsn);

/* Names the kind of conflict, in the text too; returns false. */
bool error_conflict(struct error *err, const char *kind);

/* Names the finding of `pgcdc check` that has the same cause; returns false. */
bool error_finding(struct error *err, const char *code);

/* Puts context before the text, "context: text", and keeps everything else; returns false. */
bool error_wrap(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* ERROR_SYSTEM with errno's text after the formatted object; returns false. */
bool error_errno(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* ERROR_SYSTEM "out of memory"; returns false. */
bool error_no_memory(struct error *err);

struct error_line error_line(const struct error *err);

const char *error_kind_name(enum error_kind kind);
