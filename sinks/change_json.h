/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_json.h - a change as one line of JSON, for people and pipes.
 *
 *     {"op":"update","schema":"public","table":"orders","commit_lsn":"0/1A2B3C8","index":0,"xid":739,
 *      "commit_time":"2026-11-22T08:00:00.123456Z","key":{"id":7},"before":null,
 *      "after":{"id":7,"total":"12.50"},"unchanged":["document"]}
 *
 * op is insert, update, delete, truncate, message or read (a row of the initial copy). (commit_lsn, index) is
 * the change's identity. key: the replica identity's columns of the row after the change, or of the deleted
 * row; null if the table has none or if it is the whole row. before: the part of the old row that the server
 * sent: null, the old key, or every column with replica identity full. unchanged: the large values that an
 * update did not change and the server therefore did not send; left out if there are none. truncate has
 * "tables", "cascade" and "restart_identity" instead of a row; message has "prefix", "transactional" and
 * "content", or "content_hex" if it is not UTF-8.
 *
 * No value loses precision. boolean, smallint, integer, oid, real and double precision are JSON's own types;
 * so is bigint up to 2^53 on either side of 0; json and jsonb are embedded. Every other value is a string in
 * PostgreSQL's text form: numeric and larger bigints, because many readers would round them; NaN and
 * Infinity, which JSON lacks; arrays; dates; domains.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/json_writer.h"
#include "decoder/change.h"

/*
 * The line, with its newline; valid until the next call. For every kind except BEGIN and COMMIT. Values must
 * be text; a binary value is ERROR_PROTOCOL.
 */
MUST_CHECK bool change_json_write(struct json_writer *json, const struct change *change,
                                  struct slice *ret_line, struct error *err);
