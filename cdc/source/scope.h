/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - source.tables against what the publications send: what is replicated is what is named, or an
 * error.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

/* What a pattern can mean: plain tables and roots of partition trees. The columns of the answer. */
enum {
    CANDIDATE_OID,
    CANDIDATE_SCHEMA,
    CANDIDATE_NAME,
    CANDIDATE_PERSISTENCE,
    CANDIDATE_OWNED,
    CANDIDATE_SENT
};

MUST_CHECK bool scope_read_candidates(struct session *source, const struct source_config *config,
                                      PGresult **ret_rows, struct error *err);

/*
 * What the publications send. The columns of the answer; a leaf that is sent by itself belongs to its root.
 */
enum { SENT_SCHEMA, SENT_NAME, SENT_ROOT_SCHEMA, SENT_ROOT_NAME };

MUST_CHECK bool scope_read_sent(struct session *source, const struct source_config *config,
                                PGresult **ret_rows, struct error *err);
/* The same, with the partitions of a published root, each once for every relation whose name takes it. */
MUST_CHECK bool scope_read_announced(struct session *source, const struct source_config *config,
                                     PGresult **ret_rows, struct error *err);
bool scope_takes_sent(const struct source_config *config, const PGresult *sent, int row);

/* A pattern that stands for no table: ERROR_CONFIG. */
MUST_CHECK bool scope_check_patterns(const struct source_config *config, const PGresult *candidates,
                                     struct error *err);

enum scope_moment {
    SCOPE_NEW, /* nothing is replicated yet: every table that a pattern takes has to be sent */
    /* a table that an entry without a star names has to be; another may be a newcomer, and is warned of */
    SCOPE_RUNNING,
    SCOPE_COMPARING, /* as SCOPE_NEW; the remedy is verify's */
};

#define SCOPE_WARNING_MAX 1024

/*
 * ERROR_CONFIG, with the tables' names and what to do, unless what is named and what is sent agree. Without
 * source.tables the publications say what is replicated. warning: set when there is something that can wait;
 * NULL: nobody asks.
 */
MUST_CHECK bool scope_check(struct session *source, const struct source_config *config,
                            enum scope_moment moment, char *warning, struct error *err);

/*
 * Without source.tables: a warning of tables that were sent, as scope_read_announced had it, are there and
 * are sent no more.
 */
MUST_CHECK bool scope_check_kept(struct session *source, const struct source_config *config,
                                 const PGresult *sent, char *warning, struct error *err);

/* Is it one of what was sent at the start, or named? Not for leaves that were made since. */
bool scope_takes_relation(const struct source_config *config, const PGresult *sent, struct slice schema,
                          struct slice name);
