/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_source.h - the server whose changes are in the archive, for a pipeline that has it at hand: one
 * with a buffer.
 *
 * Rows are copied from it, and its catalog is watched. While it cannot be reached, the archive is read
 * without it.
 */
#pragma once

#include "cdc/readers/reader.h"
#include "cdc/source/scope.h"
#include "cdc/source/uncopied.h"

struct archive_source {
    /* from open to start */
    struct session session;
    struct session replication;

    PGresult *sent; /* scope_read_announced; until close */
    struct reader_catalog catalog;

    /* lives on */
    char warned[SCOPE_WARNING_MAX];
    struct uncopied_moment looked_at;
};

/*
 * Sets reader->catalog, or NULL when the server cannot be reached; adds what it has to the archive's facts.
 * ERROR_REFUSE: it is another cluster. Does nothing without a source.dsn.
 */
MUST_CHECK bool archive_source_open(struct archive_source *source, struct reader *reader,
                                    struct reader_facts *facts, struct error *err);

/* Adds where the server's WAL ends now. */
MUST_CHECK bool archive_source_look(struct archive_source *source, struct reader_facts *facts,
                                    struct error *err);

/* See struct reader_ops. Without a server they have nothing to do. */
MUST_CHECK bool archive_source_resume(struct archive_source *source, const struct reader *reader,
                                      bool is_copying, struct error *err);
MUST_CHECK bool archive_source_plan(struct archive_source *source, const struct reader *reader,
                                    struct error *err);

/* The stream starts: the sessions are used no more. */
void archive_source_start(struct archive_source *source);

/* Accepts one that is closed. */
void archive_source_close(struct archive_source *source);
