/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - what an operator asks of a pipeline that runs: one object of JSON.
 *
 *     {"pause": true}             all sinks, or one: {"pause": "warehouse"}
 *     {"resume": true}            likewise
 *     {"reload": true}            the configuration is read again
 *     {"log_level": "debug"}
 *     {"state": true}             nothing is changed
 *
 * One request an object. An unknown key is an error, so that a misspelt request never does half of what it
 * says.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/log.h"
#include "cdc/base/slice.h"

enum { REQUEST_NAME_MAX = 64, REQUEST_BYTES_MAX = 4096 };

enum request_kind { REQUEST_PAUSE, REQUEST_RESUME, REQUEST_RELOAD, REQUEST_LOG_LEVEL, REQUEST_STATE };

struct request {
    enum request_kind kind;
    char sink[REQUEST_NAME_MAX]; /* "": all of them */
    enum log_level level;
};

/* "pause". */
const char *request_name(enum request_kind kind);

/* ERROR_PROTOCOL says what is wrong, and shows nothing of the text. */
MUST_CHECK bool request_parse(struct slice text, struct request *ret_request, struct error *err);
