/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_record.h - the position as the value of a Kafka record, in readable text.
 *
 *     {"version":1,"claim":"9f0c…16 digits","end_lsn":"0/16B3748","commit_lsn":"0/0","index":0,
 *      "system_id":"7316…","timeline":1}
 *
 * Version 2 says that the topic has the plan of a copy in chunks too (chunks.c), which an engine that does
 * not know of chunks must not leave behind. Version 3 says that it has accounts (partition_account.h), which
 * an engine that does not count would make wrong; version 4 says both.
 *
 * claim identifies the engine that wrote it: a random number of its process. end_lsn 0/0: the engine has
 * claimed the pipeline and has no position yet.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/position.h"
#include "cdc/base/slice.h"

#define POSITION_RECORD_MAX 256

struct position_record {
    uint64_t claim; /* never 0 */
    struct position position;
    bool has_plan;
    bool has_accounts;
};

/* Returned by value, so that it can be used in an argument list. */
struct position_text {
    char text[POSITION_RECORD_MAX];
};

struct position_text position_record_format(const struct position_record *record);

/* False when text is not exactly such a record; *ret_record is then unchanged. */
MUST_CHECK bool position_record_parse(struct slice text, struct position_record *ret_record);
