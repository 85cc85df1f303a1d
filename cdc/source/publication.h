/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publication.h - which tables the source sends.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

/* The comment on a publication that pgcdc created and may therefore drop. */
#define PUBLICATION_MARK "created by pgcdc"

/* True if all publications of the pipeline exist. */
MUST_CHECK bool publication_exists(struct session *source, const struct source_config *config,
                                   bool *ret_exists, struct error *err);

/* Appends to names, for people, the published tables whose updates or deletes the source refuses. */
MUST_CHECK bool publication_name_unusable(struct session *source, const struct source_config *config,
                                          struct buffer *names, struct error *err);

/*
 * Creates the publication if it is missing, with publish_via_partition_root, for the tables that the
 * configuration names, or for all tables. ERROR_CONFIG with the SQL to run: if the file names the publication
 * itself, which may be a typing error; if the source would then refuse updates of a table; if the role lacks
 * the right. *ret_created may be NULL.
 */
MUST_CHECK bool publication_ensure(struct session *source, const struct source_config *config,
                                   bool *ret_created, struct error *err);
