/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_account.h - what the sink has published of a table into one partition, as a record of the
 * position topic.
 *
 *     key    PIPELINE/SINK#records/TOPIC/PARTITION/OID
 *     value  {"from":0,"count":1204331,"places":"9f0c…16 digits"}
 *
 * It is written in the Kafka transaction of the records that it counts. So at the end of each transaction it
 * says what consumers have: `count` records at the offset `from` or above, whose places add up to `places`.
 * Tombstones have no place, and are not counted. OID is the table's at the source, because tables may share
 * a topic.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

struct partition_account {
    int64_t from;
    uint64_t count;
    uint64_t places;
};

/* Whose account it is. topic points into the record's key, or belongs to the caller. */
struct account_name {
    struct slice topic;
    int32_t partition;
    oid_t oid;
};

#define ACCOUNT_NAME_PREFIX "#records/"

enum { ACCOUNT_KEY_MAX = 1024, ACCOUNT_TEXT_MAX = 96 };

/* Sums are stored, so this must stay as it is. */
static inline uint64_t account_mix(uint64_t word) {
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

/* One record more. Its place: the commit LSN of its transaction, and a number within it. */
static inline void account_add(struct partition_account *account, lsn_t commit_lsn, uint64_t index) {
    account->count++;
    account->places += account_mix(account_mix(commit_lsn + UINT64_C(0x9e3779b97f4a7c15)) + index);
}

/* Writes prefix, the sink's key of its position, and the name. False: it is too long. */
MUST_CHECK bool account_name_format(const char *prefix, const struct account_name *name,
                                    char key[ACCOUNT_KEY_MAX]);

/* text: a key without the prefix. False: it is no such name. */
MUST_CHECK bool account_name_parse(struct slice text, struct account_name *ret_name);

void account_format(const struct partition_account *account, char text[ACCOUNT_TEXT_MAX]);

/* Accepts only what format writes. */
MUST_CHECK bool account_parse(struct slice text, struct partition_account *ret_account);
