/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_writer.h - JSON, one document a line, over yajl's generator.
 *
 * yajl keeps the grammar and the escapes; the bytes go into a buffer that fails for good when memory is
 * exhausted. So things are put straight down, and one question at the end decides: json_writer_finish. Not
 * thread safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <yajl/yajl_gen.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/json_text.h"
#include "cdc/base/slice.h"

struct json_writer {
    yajl_gen generator; /* maps, arrays, true and null are put on it directly */
    struct buffer line;
    struct buffer scratch; /* a text that cannot be put as it is */
    const char *problem;   /* why the line must not be used, or NULL; who puts may set it, too */
};

MUST_CHECK bool json_writer_init(struct json_writer *json, struct error *err);

/* Accepts a zeroed one. */
void json_writer_release(struct json_writer *json);

/* Forgets the line before. */
void json_writer_begin(struct json_writer *json);

/* The line with its newline, valid until the next begin. ERROR_PROTOCOL when there was a problem. */
MUST_CHECK bool json_writer_finish(struct json_writer *json, struct slice *ret_line, struct error *err);

void json_put_text(struct json_writer *json, struct slice text);
void json_put_integer(struct json_writer *json, int64_t number);

/* A key of the open map, alone and with its value. */
void json_put_key(struct json_writer *json, const char *key);
void json_put_field(struct json_writer *json, const char *key, const char *text);

/*
 * Text that is JSON already: raw as it is, embedded with line breaks made spaces, so that a line stays one.
 */
void json_put_raw(struct json_writer *json, struct slice text);
void json_put_embedded(struct json_writer *json, struct slice text);

/* A string of hexadecimal digits. */
void json_put_hex(struct json_writer *json, struct slice bytes);
