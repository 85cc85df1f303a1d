/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_writer.h - JSON, one document a line, over yajl's generator.
 *
 * yajl does the grammar and the escapes that it requires. What else a terminal would obey (visible.h) is
 * escaped when the line is finished. The bytes go into a buffer that stays failed once memory is exhausted,
 * so callers need not check each call: json_writer_finish reports the failure. Not thread safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <yajl/yajl_gen.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/json_text.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

struct json_writer {
    yajl_gen generator; /* callers put maps, arrays, true and null on it directly */
    struct buffer line;
    struct buffer scratch; /* for a text that must be changed before it is put */
    const char *problem;   /* why the line must not be used, or NULL; callers may set it */
};

MUST_CHECK bool json_writer_init(struct json_writer *json, struct error *err);

/* Accepts a zeroed one. */
void json_writer_release(struct json_writer *json);

/* Begins a new line and drops the previous one. */
void json_writer_begin(struct json_writer *json);

/* The line with its newline, valid until the next begin. ERROR_PROTOCOL if there was a problem. */
MUST_CHECK bool json_writer_finish(struct json_writer *json, struct slice *ret_line, struct error *err);

/* The same, written to a file, whose own errors are the caller's to look for: main does so for stdout. */
MUST_CHECK bool json_writer_print(struct json_writer *json, FILE *file, struct error *err);

void json_put_text(struct json_writer *json, struct slice text);
void json_put_integer(struct json_writer *json, int64_t number);

/* A key of the open map; the second also puts its value. */
void json_put_key(struct json_writer *json, const char *key);
void json_put_field(struct json_writer *json, const char *key, const char *text);

/* A key and its value. 0 is no LSN, and a negative number is an unknown one: both become null. */
void json_put_lsn(struct json_writer *json, const char *key, lsn_t lsn);
void json_put_number(struct json_writer *json, const char *key, int64_t number);

/*
 * Text that is already JSON. raw: unchanged. embedded: line breaks become spaces, so that the document stays
 * on one line.
 */
void json_put_raw(struct json_writer *json, struct slice text);
void json_put_embedded(struct json_writer *json, struct slice text);

/* A string of hexadecimal digits. */
void json_put_hex(struct json_writer *json, struct slice bytes);
