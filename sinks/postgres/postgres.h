/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.h - the Postgres sink's own struct; for postgres.c and the tests.
 */
#pragma once

#include "sinks/postgres/target/target.h"

struct apply; /* what is needed to apply changes: target tables, statements, the reduction */

struct postgres_sink {
    struct target target;
    struct apply *apply; /* NULL while closed */
};
