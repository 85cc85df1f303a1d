/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied_parts.h - what the files of uncopied.h share.
 */
#pragma once

#include "cdc/source/uncopied.h"

/* An error from the server is not a failure here; a lost connection is. Zero rows and false: no answer. */
MUST_CHECK bool uncopied_ask(struct uncopied_question *question, struct session *session, const char *sql,
                             int count, const char *const *parameters, int columns, PGresult **ret_rows,
                             struct error *ret_answer, struct error *err);

/* xmin and cmin of the table's oldest publication; no row: none that is not older than since_xid. */
MUST_CHECK bool uncopied_read_entry(struct uncopied_question *question, const struct table *table,
                                    const char *since_xid, PGresult **ret_entry, struct error *err);

/* A row of the table that is older than this entry; no row: none, or the server refused the query. */
MUST_CHECK bool uncopied_read_old(struct uncopied_question *question, const struct table *table,
                                  const PGresult *entry, PGresult **ret_old, struct error *err);

enum { UNCOPIED_KEYS_MAX = 32 }; /* of an index, in PostgreSQL */

/* The column at a place of the primary key, from 1; NULL: the publication leaves it out. */
const struct table_column *uncopied_key_column(const struct table *table, uint32_t place);

bool uncopied_has_whole_key(const struct table *table);

/*
 * uncopied_target.c: does the target have the row that the source returned? If it cannot be asked, the row
 * counts as present. The table has its whole key.
 */
MUST_CHECK bool uncopied_ask_target(struct uncopied_question *question, const struct table *table,
                                    const PGresult *old, int row, bool *ret_lacks, struct error *err);

/* The same of a target that is being written to: only once it has what the source had committed by then. */
MUST_CHECK bool uncopied_ask_written(struct uncopied_question *question, const struct table *table,
                                     const PGresult *old, int row, bool *ret_lacks, struct error *err);

/*
 * uncopied_attached.c: the same of a partitioned table that is published as one: a partition was attached
 * with rows, or loaded in the transaction that attached it.
 */
MUST_CHECK bool uncopied_look_attached(struct uncopied_question *question, const struct table *table,
                                       bool *ret_lacks, struct error *err);

/* One old row of each such partition that was attached since question->since_xid. NULL: no answer. */
MUST_CHECK bool uncopied_read_attached(struct uncopied_question *question, const struct table *table,
                                       PGresult **ret_old, struct error *err);

/*
 * Appends the query for one of the first rows that are older than xmin and cmin, which are numbers: the
 * values of its key, and xmin. rows_sql: the table, as after FROM.
 */
void uncopied_append_old(struct buffer *sql, const struct table *table, const char *rows_sql,
                         const char *xmin, const char *cmin);

/* Was an entry added since, and up to which transaction is that known? */
MUST_CHECK bool uncopied_read_newcomers(struct session *source, const char *publications,
                                        const char *since_xid, bool *ret_some, struct uncopied_moment *moment,
                                        struct error *err);
