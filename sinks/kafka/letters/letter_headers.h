/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter_headers.h - the headers of a record in the dead-letter topic, and what they say.
 *
 *     pgcdc.letter      7            its number
 *     pgcdc.state       failed       or waiting: for an earlier letter of its key
 *     pgcdc.reason      why it failed
 *     pgcdc.topic       the topic that the message is for
 *     pgcdc.schema, pgcdc.table, pgcdc.oid
 *     pgcdc.commit_lsn, pgcdc.index, pgcdc.xid
 *     pgcdc.bytes       320123       of the message, as its topic counts them
 *     pgcdc.message     1/2          which of the change's messages
 *     pgcdc.part        1/3          which part of its value; absent when the record has all of it
 *     pgcdc.place       24672976/3   its place in the account of its partition
 *
 * Others are the message's own.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "sinks/formats/format.h"

enum { LETTER_REASON_MAX = 512, LETTER_TEXT_MAX = 256, LETTER_PARTITION = 0 };

struct letter_about {
    uint64_t id;
    bool failed;
    const char *reason;
    const struct change *change;
    const struct relation *relation;
    const char *topic;
    struct message_place place;
    size_t bytes;
    unsigned message, messages;
    unsigned part, parts;
};

/* NULL: no memory. */
rd_kafka_headers_t *letter_headers_make(const struct letter_about *about, const struct message_list *list,
                                        const struct message *message);

/* What a record says about its letter. */
struct letter_piece {
    uint64_t id;
    bool failed;
    char reason[LETTER_REASON_MAX];
    char topic[LETTER_TEXT_MAX];
    char schema[LETTER_TEXT_MAX], table[LETTER_TEXT_MAX];
    char commit_lsn[32], index[24], xid[24];
    oid_t oid;
    struct message_place place;
    size_t bytes;
    unsigned message, messages;
    unsigned part, parts;
};

/* False: it is no part of a letter, as one that an older version has written, or a note about one. */
bool letter_headers_read(const rd_kafka_message_t *message, struct letter_piece *ret_piece);

/* Is the header about the letter, and not the message's own? */
bool letter_headers_is_about(const char *name);
