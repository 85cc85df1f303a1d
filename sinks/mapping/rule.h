/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule.h - how tables of the source become tables of a sink, as the configuration file says.
 *
 * Read-only once read; texts live as long as the configuration. Rules are tried in their order, and the first
 * that matches a table is its rule. A table without one stays as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sinks/row_mode.h"
#include "sinks/row_policy.h"

enum step_kind {
    STEP_TRIM,     /* removes white space at both ends */
    STEP_SQUEEZE,  /* runs of white space become one blank */
    STEP_LOWER,    /* letters of all scripts, by Unicode's simple mapping */
    STEP_UPPER,    /* likewise */
    STEP_NULLIF,   /* text becomes null */
    STEP_DEFAULT,  /* null becomes text */
    STEP_TRUNCATE, /* keeps `number` characters */
    STEP_HASH,     /* HMAC-SHA256 with the key, as hexadecimal digits, the first `number` of them */
    STEP_PARTIAL, /* each character but the first `first` and the last `last` becomes text; all, if no more */
    STEP_DIGITS,  /* FF1 over the digits 0 to 9, 6 to 56 of them, with the key; other characters stay */
    STEP_NULL,    /* everything becomes null */
    STEP_FIXED,   /* everything but null becomes text */
};

/* What a step does to values that were distinct. */
enum uniqueness {
    UNIQUENESS_PRESERVED,
    UNIQUENESS_LIKELY, /* two values may become equal, as two keys of a hash may */
    UNIQUENESS_LOST,
};

/* Made of the bytes of a file; see mask_key.h. */
struct mask_key;

struct step {
    enum step_kind kind;
    const char *text;
    uint32_t number; /* 0: all */
    uint32_t first;
    uint32_t last;
    const struct mask_key *key;
};

/* A value that no column of the source has. */
enum column_source {
    COLUMN_VALUE, /* the source's column of this name */
    COLUMN_CONST,
    COLUMN_COMMIT_LSN,
    COLUMN_COMMIT_TIME,
    COLUMN_XID,
    COLUMN_INDEX,     /* the number of the change in its transaction */
    COLUMN_OPERATION, /* c, u, d, r */
    COLUMN_TABLE,     /* schema.table at the source */
    COLUMN_SQL, /* an expression; it takes the place of the source's column of this name, if there is one */
    COLUMN_OF_MODE, /* that the rule's mode adds: mode_column */
};

/* Is it another one for each change of a row? */
static inline bool column_source_is_of_change(enum column_source source) {
    return source != COLUMN_VALUE && source != COLUMN_CONST && source != COLUMN_TABLE && source != COLUMN_SQL;
}

struct column_rule {
    const char *name; /* at the source; of a column that the source has not: at the sink */
    const char *as;   /* at the sink */
    const char *type; /* of the sink's column, for a table that the sink creates; NULL: the source's */
    enum column_source source;
    enum mode_column mode_column;
    const char *text; /* of COLUMN_CONST */
    const char *sql;  /* of COLUMN_SQL */
    bool tells_source; /* of a policy: it is always in the key, and tells the sources apart */
    bool drops;
    bool accepts_loss; /* a step may make two keys equal */
    const struct step *steps;
    size_t step_count;
};

struct rule_pattern;

struct rule {
    const char *match; /* schema.table, with * for any characters, or /a regular expression/ */
    const struct rule_pattern *pattern; /* compiled: match.h */
    const char *to;    /* schema.table of the sink, where $1 is a group of the expression; NULL: the same */
    const char *where; /* an expression of SQL: other rows are not in the sink; NULL: all are */
    const char *const *sinks; /* NULL: all */
    size_t sink_count;
    /* the key's columns in the sink; NULL: those of the source's key, and all constants */
    const char *const *key;
    size_t key_count;
    enum row_mode mode;
    const struct row_policy *policy; /* of a table whose rows are candidates; or NULL */
    const struct column_rule *columns; /* those of the mode are the last */
    size_t column_count;
};

struct mapping {
    const struct rule *rules;
    size_t count;
};

/* Wipes the keys of masks. Accepts NULL, and a mapping that was read in part. */
void mapping_release(const struct mapping *mapping);
