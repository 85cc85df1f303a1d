/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sides.h - source and target, described by one pg_dump.
 */
#pragma once

#include "cdc/migrate/schema/describe.h"
#include "cdc/migrate/schema/object.h"

struct sides {
    const struct config *config;
    const struct config_sink *sink;
    const atomic_bool *stop;
    struct arena arena; /* for all texts of the lists, but those of at_target */
    struct arena target_arena;
    struct session source, target;
    struct describer describer;
    struct object_list at_source, at_target;
    const char *search_path; /* of the source's database, once it was read */
};

/* Connects to both and describes both. The caller closes *sides, also after an error. sides: zeroed. */
MUST_CHECK bool sides_open(struct sides *sides, const struct config *config, const struct config_sink *sink,
                           const atomic_bool *stop, struct error *err);

/* The descriptions stay; and the sessions are opened again. */
void sides_disconnect(struct sides *sides);
MUST_CHECK bool sides_connect_both(struct sides *sides, struct error *err);

/* Accepts a zeroed one. */
void sides_close(struct sides *sides);

/* A session of the target; database NULL: the sink's own. */
MUST_CHECK bool sides_connect(const struct sides *sides, const char *database, struct session *session,
                              struct error *err);

/* Of different major versions, which write the same definition in different words? */
bool sides_differ(const struct sides *sides);

/*
 * Makes the source's objects in a new database of the target's server, describes that, and removes it:
 * *ret_list has the source's definitions in the target's words. Those that the target's version does not
 * accept are is_refused in at_source, and not in *ret_list. The caller releases it.
 */
MUST_CHECK bool sides_normalise(struct sides *sides, struct object_list *ret_list, struct error *err);
