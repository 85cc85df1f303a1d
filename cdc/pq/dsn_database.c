/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn_database.c - writes a connection string again, keyword by keyword.
 */
#include "cdc/pq/dsn_database.h"

#include <libpq-fe.h>
#include <string.h>

static void append_value(struct buffer *dsn, const char *keyword, const char *value) {
    buffer_printf(dsn, " %s='", keyword);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buffer_append_u8(dsn, '\\');
        buffer_append_u8(dsn, (uint8_t) *value);
    }
    buffer_append_u8(dsn, '\'');
}

bool dsn_replace_database(const char *dsn, const char *database, struct buffer *ret_dsn, struct error *err) {
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    if (options == NULL)
        return error_no_memory(err);
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
        if (option->val != NULL && strcmp(option->keyword, "dbname") != 0)
            append_value(ret_dsn, option->keyword, option->val);
    PQconninfoFree(options);
    append_value(ret_dsn, "dbname", database);
    return buffer_text(ret_dsn) != NULL ? true : error_no_memory(err);
}

bool dsn_names_database(const char *dsn) {
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    bool names = false;
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
        names = names || (option->val != NULL && strcmp(option->keyword, "dbname") == 0);
    PQconninfoFree(options);
    return names;
}
