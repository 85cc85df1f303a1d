/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.h - the Postgres sink's struct; for postgres.c and the tests.
 */
#pragma once

#include "sinks/postgres/schema/schema.h"
#include "sinks/postgres/target/target.h"

struct apply; /* target tables, prepared statements, the net effect */

struct postgres_sink {
    struct target target;
    struct apply *apply; /* NULL while closed */
    struct schema schema;
};
