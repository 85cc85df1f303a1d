/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier.h - one thread that copies chunks.
 */
#pragma once

#include "cdc/copy/copiers.h"

/* A table as it was when the copiers started. */
struct copier_table {
    const struct table *table;
    const char *definition; /* a digest of what a copier relies on; NULL: the table is gone */
};

/* (oid, digest) of the tables in $1, an array of OIDs. */
extern const char COPIER_DEFINITIONS[];

/* NULL: the table is not published. */
struct copier_table *copier_find_table(const struct copiers *copiers, oid_t oid);

/* The thread's function; copiers: a struct copiers. */
void *copier_main(void *copiers);
