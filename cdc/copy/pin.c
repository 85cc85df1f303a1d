/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin.c - imports a snapshot, and asks the server which one it is.
 */
#include "cdc/copy/pin.h"

#include <string.h>

#include "cdc/pq/identifier.h"

#define TEXT_BYTES_MAX ((size_t) 64 << 20)

static bool gone(const char *reason, struct error *err) {
    return error_set(err, ERROR_RETRY, "the copy must start over with a new slot: %s", reason);
}

static bool import(struct session *source, const char *snapshot_name, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_append_text(&sql, "set transaction snapshot ");
    literal_append(&sql, slice_of(snapshot_name));
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_execute(source, "begin isolation level repeatable read read only", err))
        return false;
    if (session_execute(source, sql.data, err))
        return true;
    /*
     * The session that exported the snapshot is gone. Whatever the server calls that, the remedy is a new
     * slot.
     */
    if (err->sqlstate[0] != '\0')
        err->kind = ERROR_RETRY;
    return error_wrap(err, "the exported snapshot cannot be used; the copy must start over with a new slot");
}

static bool read_pin(struct session *source, PGresult **ret_pin, struct error *err) {
    return session_query(source, "select pg_current_snapshot(), current_setting('transaction_isolation')", 0,
                         NULL, &(const struct result_shape){"the query for its snapshot", 1, 1, 2, 0},
                         ret_pin, err);
}

/*
 * Outside a transaction block SET TRANSACTION SNAPSHOT is only a warning, and behind a pooler the next
 * statement may reach another backend. So we ask for this backend's snapshot now, and again at the end.
 */
bool pin_prove(struct pin *pinned, struct error *err) {
    struct session *source = pinned->source;
    PGresult *pin AUTO_PGRESULT = NULL;
    if (PQtransactionStatus(source->conn) != PQTRANS_INTRANS)
        return error_set(err, ERROR_CONFIG,
                         "the source's session is in no transaction: connect without a pooler");
    if (!read_pin(source, &pin, err))
        return false;
    if (strcmp(PQgetvalue(pin, 0, 1), "repeatable read") != 0)
        return error_set(err, ERROR_CONFIG,
                         "the source's session does not keep its snapshot: connect without a pooler");
    if (pinned->text.size == 0) {
        pinned->text.bytes_max = TEXT_BYTES_MAX;
        buffer_append_text(&pinned->text, PQgetvalue(pin, 0, 0));
        return buffer_text(&pinned->text) != NULL ? true : error_no_memory(err);
    }
    return strcmp(pinned->text.data, PQgetvalue(pin, 0, 0)) == 0
               ? true
               : gone("the source's session lost the snapshot", err);
}

bool pin_import(struct pin *pin, const char *snapshot_name, struct error *err) {
    return import(pin->source, snapshot_name, err) && pin_prove(pin, err);
}

void pin_release(struct pin *pin) {
    buffer_release(&pin->text);
}
