/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.h - the published tables, as the source's catalog describes them.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "sinks/table.h"

struct table_list {
    const struct table *tables; /* ordered by schema and name */
    size_t count;
};

/*
 * The tables for which the publications send changes, with their columns (column lists respected): the root
 * of a partition tree when it is published via the root, its leaves otherwise. publications: an array's text,
 * source_config.publication_array. The result is in arena. Needs only the right to read the catalog; uses the
 * caller's transaction if there is one. A definition cannot be read while another session holds a lock that
 * blocks readers: then ERROR_RETRY after a second, naming the holder of the lock.
 */
MUST_CHECK bool catalog_read_tables(struct session *source, const char *publications, struct arena *arena,
                                    struct table_list *ret_list, struct error *err);

/*
 * The same for tables given by OID, as a publication of just these would send them. oids: an array's text,
 * "{16385,16390}".
 */
MUST_CHECK bool catalog_read_oids(struct session *source, const char *oids, struct arena *arena,
                                  struct table_list *ret_list, struct error *err);

/*
 * True when every column that the publications may send is of a type that is portable in binary
 * (builtin_type.h). Waits for no table's lock, so that a pipeline can start again while one of its tables is
 * locked.
 */
MUST_CHECK bool catalog_read_portable(struct session *source, const char *publications, bool *ret_portable,
                                      struct error *err);
