/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals_parts.h - private to cdc/migrate/globals.
 */
#pragma once

#include "cdc/migrate/globals/globals.h"

/*
 * globals_sql.c: asks the source; the answer, JSON, is $1 of the queries below. It may have hashes of
 * passwords.
 */
MUST_CHECK bool globals_describe_roles(struct globals *globals, const char **ret_json, struct error *err);
MUST_CHECK bool globals_describe_database(struct globals *globals, const char **ret_json, struct error *err);

/*
 * At the target: a row for each statement that is missing there: the object, the statement, the rest of it
 * that is secret or null, a list setting and its value or null, and what is left out and why, or null.
 */
extern const char GLOBALS_ROLES_SQL[];
extern const char GLOBALS_DATABASE_SQL[];

/* globals_apply.c: runs them in the session of the steps. */
MUST_CHECK bool globals_apply(struct globals *globals, const PGresult *statements, struct error *err);
MUST_CHECK bool globals_execute(struct globals *globals, const char *statement, const char *secret,
                                struct error *err);

/* What an administrator would run, without passwords. */
void globals_say(const PGresult *statements);

/* globals_roles.c, globals_database.c */
MUST_CHECK bool globals_make_roles(struct globals *globals, struct error *err);
MUST_CHECK bool globals_make_database(struct globals *globals, struct error *err);
