/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - compares source.tables with the tables that the publications send: they agree, or it is an error.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

/* Tables that a pattern can match: plain tables and roots of partition trees. The columns of the answer. */
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
 * Tables that the publications send. The columns of the answer; a leaf that is sent by itself counts as its
 * root.
 */
enum { SENT_SCHEMA, SENT_NAME, SENT_ROOT_SCHEMA, SENT_ROOT_NAME };

MUST_CHECK bool scope_read_sent(struct session *source, const struct source_config *config,
                                PGresult **ret_rows, struct error *err);
/*
 * The same, with the partitions of a published root, once for each relation whose name the pattern matches.
 */
MUST_CHECK bool scope_read_announced(struct session *source, const struct source_config *config,
                                     PGresult **ret_rows, struct error *err);
bool scope_takes_sent(const struct source_config *config, const PGresult *sent, int row);

/* A pattern that matches no table: ERROR_CONFIG. */
MUST_CHECK bool scope_check_patterns(const struct source_config *config, const PGresult *candidates,
                                     struct error *err);

enum scope_moment {
    SCOPE_NEW, /* nothing is replicated yet: every table that a pattern matches must be published */
    /* a table that an entry without a star names must be published; another may be new, and is a warning */
    SCOPE_RUNNING,
    SCOPE_COMPARING, /* as SCOPE_NEW, with verify's remedy */
};

#define SCOPE_WARNING_MAX 1024

/*
 * ERROR_CONFIG, with the tables' names and the remedy, unless named and published tables agree. Without
 * source.tables the publications decide. warning: set if a new table is not sent yet; or NULL.
 */
MUST_CHECK bool scope_check(struct session *source, const struct source_config *config,
                            enum scope_moment moment, char *warning, struct error *err);

/*
 * Without source.tables: warns of tables that were published when scope_read_announced read them, still exist
 * and are no longer published.
 */
MUST_CHECK bool scope_check_kept(struct session *source, const struct source_config *config,
                                 const PGresult *sent, char *warning, struct error *err);

/* Was the table published at the start, or is it named? Does not cover leaves created since. */
bool scope_takes_relation(const struct source_config *config, const PGresult *sent, struct slice schema,
                          struct slice name);
