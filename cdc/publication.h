/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publication.h - which tables the source sends.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/config.h"
#include "cdc/pq/session.h"

/* The comment on a publication that pgcdc made itself, and may therefore drop. */
#define PUBLICATION_MARK "created by pgcdc"

MUST_CHECK bool publication_exists(struct session *source, const char *publication, bool *ret_exists,
                                   struct error *err);

/*
 * Creates the publication when it is missing: the tables that the configuration names, or all tables, through their
 * partition roots. A role that may not is told what its owner has to run (ERROR_CONFIG). *ret_created may be NULL.
 */
MUST_CHECK bool publication_ensure(struct session *source, const struct source_config *config,
                                   bool *ret_created, struct error *err);
