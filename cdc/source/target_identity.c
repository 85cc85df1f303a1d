/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_identity.c - reads a server's system identifier and the database's name.
 */
#include "cdc/source/target_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool target_identity_read(struct session *target, struct target_identity *ret_identity, struct error *err) {
    static const char SQL[] =
        "select pg_catalog.current_database(), system_identifier from pg_catalog.pg_control_system()";
    PGresult *result AUTO_PGRESULT = NULL;
    struct error answer = {0};
    *ret_identity = (struct target_identity){0};
    if (!session_query(target, SQL, 0, NULL,
                       &(const struct result_shape){"the query for its identity", 1, 1, 2, 0}, &result,
                       &answer)) {
        if (answer.sqlstate[0] != '\0')
            return true;
        *err = answer;
        return false;
    }
    snprintf(ret_identity->database, sizeof ret_identity->database, "%s", PQgetvalue(result, 0, 0));
    ret_identity->system_id = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    return true;
}

bool target_identity_equal(const struct target_identity *a, const struct target_identity *b) {
    return a->system_id != 0 && a->system_id == b->system_id && strcmp(a->database, b->database) == 0;
}

bool target_identity_is_source(const struct target_identity *target, const struct source_identity *source) {
    return target->system_id != 0 && target->system_id == source->system_id &&
           strcmp(target->database, source->database) == 0;
}
