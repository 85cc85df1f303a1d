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
    IDENTITY_INDEX,     /* one that could be the replica identity, or NULL */
    IDENTITY_GENERATED, /* 18: a generated column that is not sent and that no identity may hold, or NULL */
    IDENTITY_OID
};

/*
 * Of the tables named by OID (an array's text), and of their leaves, those without a usable replica identity.
 * publications: an array's text, those that send them; "{}" for one that is still to be made.
 */
MUST_CHECK bool identity_find_unusable(struct session *source, const char *oids, const char *publications,
                                       PGresult **ret_rows, struct error *err);
