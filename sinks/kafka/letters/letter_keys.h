/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter_keys.h - the keys of messages that have a dead letter: later messages of one of them wait. Pure.
 *
 * A key is a topic and the bytes of a message's key there, which is what consumers order by. A message
 * without a key is ordered with all of its topic. Letters are numbered in the order of the source; those of a
 * key that have the number `from` or a higher one are in the dead-letter topic and wait for an operator.
 *
 * Each key is a record of the position topic, and so is their head; both are written in the Kafka transaction
 * of the letters:
 *
 *     PIPELINE/SINK#dead          {"next":9,"skipped":0,"topic":"…"}
 *     PIPELINE/SINK#dead/NUMBER   {"from":7,"failed":1,"waiting":1,"oid":16384,"topic":"…","key":"hexadecimal"}
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/map.h"
#include "cdc/base/slice.h"

#define LETTERS_NAME_PREFIX "#dead"

struct letter_key {
    struct letter_key *next;
    uint64_t number; /* of its record */
    uint64_t from;
    /* letters whose first message has this key, so that each is counted once */
    uint64_t failed;
    uint64_t waiting;
    oid_t oid; /* of the table at the source; 0: letters of several tables have it */
    struct slice topic;
    struct slice key; /* data NULL: the message has none */
    bool is_changed;
    bool is_gone;   /* no letter is left; its record is to be removed */
    bool is_marked; /* for a command that goes through the letters */
};

struct letter_keys {
    struct arena arena;
    bool has_arena;
    struct letter_key *all; /* in arena; those that are gone too */
    struct map by_bytes;
    struct map by_number;
    size_t count;  /* without those that are gone */
    uint64_t next; /* the number of the next letter or key */
    uint64_t skipped;
    const char *topic; /* where the letters are; NULL: there has been none */
    bool is_changed;
};

/* Accepts zeroed ones. */
void letter_keys_release(struct letter_keys *keys);

/*
 * For struct position_reader; context: a struct letter_keys. Takes its records, and passes over others.
 * ERROR_PROTOCOL: not such a record.
 */
MUST_CHECK bool letter_keys_take(void *context, struct slice name, struct slice value, struct error *err);

/* NULL: it has no letter. */
struct letter_key *letter_keys_find(const struct letter_keys *keys, struct slice topic, struct slice key);

/* Does a message of this key wait? */
bool letter_keys_have(const struct letter_keys *keys, struct slice topic, struct slice key);

/* From this letter on. It must not be there. */
MUST_CHECK bool letter_keys_add(struct letter_keys *keys, struct slice topic, struct slice key, oid_t oid,
                                uint64_t from, struct letter_key **ret_key, struct error *err);

/* No letter of it is left. */
void letter_keys_remove(struct letter_keys *keys, struct letter_key *key);

/* Those that wait for an operator. */
void letter_keys_total(const struct letter_keys *keys, uint64_t *ret_failed, uint64_t *ret_waiting);

/* The value of a key's record, or of the head's. */
void letter_keys_write(const struct letter_key *key, struct buffer *text);
void letter_keys_write_head(const struct letter_keys *keys, struct buffer *text);

/* No key is marked. */
void letter_keys_unmark(struct letter_keys *keys);

/* Is it marked, or one whose messages it must follow? */
bool letter_keys_is_marked(const struct letter_keys *keys, const struct letter_key *key);
