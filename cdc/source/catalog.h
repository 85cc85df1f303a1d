/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.h - what the source's catalog says of the published tables.
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
 * The tables that the publications (an array's text, source_config.publication_array) send changes for (the
 * root of a partition tree when it publishes via the root, its leaves otherwise), with their columns (column
 * lists of the publication respected). In arena. Needs no right but to read the catalog; inside the caller's
 * transaction if there is one. A definition can only be read while nobody has locked the table against
 * readers: then ERROR_RETRY after a moment, which names who holds the lock.
 */
MUST_CHECK bool catalog_read_tables(struct session *source, const char *publications, struct arena *arena,
                                    struct table_list *ret_list, struct error *err);

/*
 * The same for tables named by OID, as a publication of just these would send them. oids: an array's text,
 * "{16385,16390}".
 */
MUST_CHECK bool catalog_read_oids(struct session *source, const char *oids, struct arena *arena,
                                  struct table_list *ret_list, struct error *err);

/*
 * True when every column that the publications may send is of a type that is portable in binary
 * (builtin_type.h). Asks nothing that waits for a table's lock, so that a pipeline starts again whatever is
 * done to one of its tables.
 */
MUST_CHECK bool catalog_read_portable(struct session *source, const char *publications, bool *ret_portable,
                                      struct error *err);
