/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_json.h - a change as one line of JSON, for people and pipes.
 *
 *     {"op":"update","schema":"public","table":"orders","commit_lsn":"0/1A2B3C8","index":0,"xid":739,
 *      "commit_time":"2026-11-22T08:00:00.123456Z","key":{"id":7},"before":null,
 *      "after":{"id":7,"total":"12.50"},"unchanged":["document"]}
 *
 * op is insert, update, delete, truncate, message or read (a row of the initial copy). (commit_lsn, index) is
 * the change's identity. key: the replica identity's columns of the row as it is after the change, or as it
 * was before a delete; null when the table has none or when it is the whole row. before: what the server sent
 * of the old row: null, the old key, or every column with replica identity full. unchanged: the large values
 * that an update did not touch and that the server therefore did not send; left out when there are none.
 * truncate has "tables", "cascade" and "restart_identity" instead of a row; message has "prefix",
 * "transactional" and "content", or "content_hex" when it is not UTF-8.
 *
 * Nothing is lost on the way: boolean, smallint, integer, oid, real and double precision are JSON's own,
 * bigint is up to 2^53 on either side of 0, json and jsonb are embedded. All else is a string in PostgreSQL's
 * text form: numeric and larger bigints, because many readers would round them; NaN and Infinity, which JSON
 * does not know; arrays; dates; domains.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/print/json_writer.h"
#include "decoder/change.h"

/*
 * The line, with its newline; valid until the next call. For every kind but BEGIN and COMMIT. Values must be
 * text: a binary one was not asked for and is ERROR_PROTOCOL.
 */
MUST_CHECK bool change_json_write(struct json_writer *json, const struct change *change,
                                  struct slice *ret_line, struct error *err);
