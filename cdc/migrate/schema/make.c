/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.c - runs the statements of one object.
 */
#include "cdc/migrate/schema/make.h"

#include <string.h>

bool make_prepare(struct session *session, struct error *err) {
    return session_execute(session, "set local check_function_bodies = off", err);
}

/* The kind of the error stays: the server's answer says whether another try can help. */
static bool explain_object(const struct object *object, struct error *err) {
    const char *state = err->sqlstate;
    error_wrap(err, "%s", object->key);
    if (strncmp(state, "23", 2) == 0)
        return error_remedy(err, "if the copy is not complete or the target is behind, run the command again "
                                 "once the pipeline has caught up; otherwise correct the rows at the source");
    if (strcmp(state, "42501") == 0)
        return error_remedy(err, "give the target's role that right, use a superuser for the schema, or set "
                                 "schema.owners and schema.grants to no");
    if (strcmp(state, "42601") == 0 || strcmp(state, "0A000") == 0)
        return error_remedy(err, "the target's version of PostgreSQL may not know this: change the object at "
                                 "the source, or make it in the target by hand, with the name that it has");
    return err->kind == ERROR_CONFIG && err->remedy[0] == '\0'
               ? error_remedy(err,
                              "change the object at the source, or make it in the target by hand, with the "
                              "name that it has, then run the command again")
               : false;
}

bool make_object(struct session *session, const struct object *object, struct error *err) {
    if ((object->sql[0] == '\0' || session_execute(session, object->sql, err)) &&
        (object->owner_sql[0] == '\0' || session_execute(session, object->owner_sql, err)))
        return true;
    return err->kind == ERROR_STOPPED ? false : explain_object(object, err);
}
