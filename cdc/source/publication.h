/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publication.h - which tables the source sends.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

/* The comment on a publication that pgcdc made itself, and may therefore drop. */
#define PUBLICATION_MARK "created by pgcdc"

/* All that the pipeline has. */
MUST_CHECK bool publication_exists(struct session *source, const struct source_config *config,
                                   bool *ret_exists, struct error *err);

/*
 * The tables that are sent and whose updates or deletes the source refuses for it, appended to names for
 * people.
 */
MUST_CHECK bool publication_name_unusable(struct session *source, const struct source_config *config,
                                          struct buffer *names, struct error *err);

/*
 * Creates the publication when it is missing: the tables that the configuration names, or all tables, through
 * their partition roots. ERROR_CONFIG, with what has to be run: when the file names the publication itself,
 * which may be a slip; when the source would refuse updates of a table for it; when the role may not.
 * *ret_created may be NULL.
 */
MUST_CHECK bool publication_ensure(struct session *source, const struct source_config *config,
                                   bool *ret_created, struct error *err);
