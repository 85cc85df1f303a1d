/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announced.c - checks a Relation message against source.tables.
 */
#include "cdc/readers/slot/announced.h"

#include "cdc/base/cursor.h"
#include "cdc/base/log.h"
#include "cdc/base/lsn.h"
#include "cdc/base/start_over.h"
#include "cdc/source/own_tables.h"
#include "cdc/source/scope.h"
#include "cdc/source/source.h"

/* A partition that is newer than the stream: the catalog names its parent. */
static bool takes_newcomer(const struct announced *announced, struct slice schema, struct slice name,
                           bool *ret_takes, struct error *err) {
    struct session session = {0};
    PGresult *sent AUTO_PGRESULT = NULL;
    const struct source_config *source = announced->source;
    bool read = source_open(&session, source, announced->stop, err) &&
                scope_read_announced(&session, source, &sent, err);
    session_close(&session);
    if (!read)
        return error_wrap(err, "table \"%.*s\".\"%.*s\" is new", (int) schema.size, schema.data,
                          (int) name.size, name.data);
    *ret_takes = scope_takes_relation(source, sent, schema, name);
    return true;
}

bool announced_check(const struct announced *announced, struct slice payload, struct error *err) {
    const struct source_config *source = announced->source;
    struct cursor cursor = cursor_over(payload);
    cursor_bytes(&cursor, 1);
    const oid_t oid = cursor_u32(&cursor);
    struct slice schema = cursor_string(&cursor);
    struct slice name = cursor_string(&cursor);
    log_line(LOG_RELATION_SEEN, "relation %u is \"%.*s\".\"%.*s\"", oid, (int) schema.size, schema.data,
             (int) name.size, name.data);
    if (announced->sent == NULL || own_tables_have(schema, name))
        return true;
    bool takes = scope_takes_relation(source, announced->sent, schema, name);
    if (!takes && !takes_newcomer(announced, schema, name, &takes, err))
        return false;
    if (takes)
        return true;
    error_set(err, ERROR_CONFIG,
              "publication %s sends changes of table \"%.*s\".\"%.*s\", which source.tables does not list",
              source->publication, (int) schema.size, schema.data, (int) name.size, name.data);
    return error_remedy(
        err,
        "list it there, or, if no sink may receive them, remove the table from the publication, " START_OVER);
}
