/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.h - adds a table to the pipeline's publication, and removes it.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

struct membership {
    oid_t oid;
    const char *schema;
    const char *name;
    bool is_published; /* a publication of the pipeline sends it */
    bool is_for_all;   /* because it is for all tables, or for all of the schema */
    bool is_ours;      /* pgcdc created the publication, so it may alter it */
};

/*
 * name: as in SQL, schema.table. Texts are in arena. ERROR_CONFIG when the source has no such table, or it
 * cannot be replicated.
 */
MUST_CHECK bool membership_read(struct session *source, const struct source_config *config, const char *name,
                                struct arena *arena, struct membership *ret_membership, struct error *err);

/* "alter publication … add|drop table …", for a person or membership_change. */
void membership_append_sql(struct buffer *sql, const struct source_config *config,
                           const struct membership *membership, bool adds);

/* Runs that statement, in the caller's transaction if there is one. */
MUST_CHECK bool membership_change(struct session *source, const struct source_config *config,
                                  const struct membership *membership, bool adds, struct error *err);
