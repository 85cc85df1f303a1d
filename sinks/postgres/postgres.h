/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.h - the Postgres sink's struct; for postgres.c and the tests.
 */
#pragma once

#include "sinks/postgres/dead/dead_letters.h"
#include "sinks/postgres/schema/schema.h"
#include "sinks/postgres/target/target.h"

struct apply; /* target tables, prepared statements, the net effect */

struct postgres_sink {
    struct target target;
    struct apply *apply; /* NULL while closed */
    struct schema schema;
    struct dead_letters dead;
};

/*
 * For commands, on a handle that was never opened: connects. Then, to apply changes: the settings of a
 * session that does. The caller closes the session.
 */
MUST_CHECK bool postgres_open_for_command(struct postgres_sink *postgres, struct error *err);
MUST_CHECK bool postgres_prepare_command(struct postgres_sink *postgres, struct error *err);
