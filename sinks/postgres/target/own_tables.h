/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_tables.h - the tables of the sink in schema pgcdc other than pgcdc.position: are they there?
 */
#pragma once

#include "cdc/pq/session.h"

struct own_tables {
    const char *names;      /* an array's text: "{copy,chunk}" */
    size_t count;           /* of them */
    const char *create_sql; /* also right if another engine creates them at the same time */
};

/* Needs no right on the schema. False also if some are missing. */
MUST_CHECK bool own_tables_exist(struct session *session, const struct own_tables *tables, bool *ret_exist,
                                 struct error *err);

/* Creates them if they do not exist. *ret_denied: this failed because the role may not. */
MUST_CHECK bool own_tables_create(struct session *session, const struct own_tables *tables, bool *ret_denied,
                                  struct error *err);
