/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - tables whose updates and deletes the source itself refuses once they are published.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/pq/session.h"

/* The columns of the answer. */
enum {
    IDENTITY_SCHEMA,
    IDENTITY_NAME,
    IDENTITY_INDEX,     /* an index that could be the replica identity, or NULL */
    IDENTITY_GENERATED, /* 18: an unpublished generated column, which no identity may contain, or NULL */
    IDENTITY_OID,
    IDENTITY_PLACE, /* "partition", "parent" of others by inheritance, or "alone" */
};

/*
 * Of the tables given by OID (an array's text) and their leaves: those without a usable replica identity.
 * publications: an array's text, the publications that send them; "{}" for one that is not created yet.
 */
MUST_CHECK bool identity_find_unusable(struct session *source, const char *oids, const char *publications,
                                       PGresult **ret_rows, struct error *err);

/* Would the source refuse updates or deletes of one of these tables once they are published? */
MUST_CHECK bool identity_is_lacking(struct session *source, const char *oids, bool *ret_lacking,
                                    struct error *err);
