/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals.h - what belongs to a server and not to a database: roles, and the databases themselves.
 *
 * Made once for all databases of the file, as the configuration says (migrate.create, migrate.roles).
 * Nothing that exists is changed: a role that the target has keeps its attributes, memberships and settings.
 *
 * Their steps are rows of pgcdc.migration in the database that the sink's dsn in the file names, or in
 * postgres: ("globals", "role app"), ("globals", "database crm"). A role and its row are one transaction.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/config/config.h"
#include "cdc/migrate/steps/steps.h"

#define GLOBALS_STEP "globals"

struct globals {
    const struct config *config; /* of one database */
    const struct config_sink *sink;
    const atomic_bool *stop;
    struct config server; /* the file's name, and its sink in the database of the steps */
    struct config_sink server_sink;
    struct steps steps;
    struct session source;
    struct arena arena;
    size_t role_count; /* made by this call */
    bool has_made_database;
};

/* Does the configuration say that anything is made? */
bool globals_are_wanted(const struct config *config);

/*
 * Roles for all databases of the file, and this one's database. ERROR_CONFIG: the target's role may not; the
 * remedy has the statement, without a password. What cannot be said in the target's version is left out and
 * logged. A kill at any moment leaves whole roles, and the next call goes on.
 */
MUST_CHECK bool globals_make(const struct config *config, const struct config_sink *sink,
                             const atomic_bool *stop, struct error *err);

/* ---- for a report and for drop ---- */

struct globals_role {
    const char *name;
    bool lacks_password; /* it may log in, and has none as far as can be read */
};

struct globals_roles {
    struct globals_role *items; /* by name */
    size_t count;
};

/* Those that were made; none unless the configuration makes them. Texts in arena. */
MUST_CHECK bool globals_list_roles(const struct config *config, const struct config_sink *sink,
                                   const atomic_bool *stop, struct arena *arena,
                                   struct globals_roles *ret_roles, struct error *err);

/* Opens the database of the steps. globals: config, sink and stop are set; release it in any case. */
MUST_CHECK bool globals_open(struct globals *globals, struct error *err);
void globals_release(struct globals *globals);

/*
 * The row of this database, and those of the roles when there is none of a database any more; the table too
 * if no row is left.
 */
MUST_CHECK bool globals_forget(const struct config *config, const struct config_sink *sink,
                               const atomic_bool *stop, struct error *err);
