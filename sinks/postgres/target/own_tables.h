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
    /* of the remedy when the role may not create them; own_tables_need alone uses them */
    const char *purpose;   /* what is in them */
    const char *otherwise; /* what follows the grant; NULL: nothing */
    const char *by_hand;   /* "pgcdc.NAME (COLUMNS)" for an administrator; NULL: not offered */
};

/* Needs no right on the schema. False also if some are missing. */
MUST_CHECK bool own_tables_exist(struct session *session, const struct own_tables *tables, bool *ret_exist,
                                 struct error *err);

/* Creates them if they do not exist. *ret_denied: this failed because the role may not. */
MUST_CHECK bool own_tables_create(struct session *session, const struct own_tables *tables, bool *ret_denied,
                                  struct error *err);

/* The same for tables that must exist: the error of a role that may not has the remedy. */
MUST_CHECK bool own_tables_need(struct session *session, const struct own_tables *tables, struct error *err);
