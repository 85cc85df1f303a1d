/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h - the definitions of a database, as pg_dump describes them.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/migrate/schema/toc.h"
#include "cdc/pq/session.h"

struct describer {
    const char *path; /* of pg_dump */
    int major;
    struct arena *arena; /* for all that it reads */
    const atomic_bool *stop;
};

/*
 * Finds a pg_dump that is not older than both servers, or examines the one that the configuration names.
 * ERROR_CONFIG: there is none.
 */
MUST_CHECK bool describer_find(struct describer *describer, const struct schema_config *config, int major_min,
                               struct error *err);

/*
 * The database of the session, or another one of its server. Reads with the session's role and settings, in a
 * connection of pg_dump; nothing of it is on a command line.
 */
MUST_CHECK bool describer_read(const struct describer *describer, const struct session *session,
                               const char *database, struct toc *ret_toc, struct error *err);
