/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts.c - in memory from opening to closing; only partitions that got records are sent with a commit.
 */
#include "sinks/kafka/account/accounts.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/hash.h"

enum { PARTITIONS_MAX = 1 << 20 }; /* far above what a cluster can have */

/* ---- the accounts of all tables ---- */

struct account_key {
    struct slice topic;
    oid_t oid;
};

static bool is_account(const void *object, const void *key) {
    const struct table_account *account = object;
    const struct account_key *wanted = key;
    return account->oid == wanted->oid && slice_equal(slice_of(account->topic), wanted->topic);
}

static uint64_t hash_account(const struct account_key *key) {
    return hash_bytes(key->oid, key->topic.data, key->topic.size);
}

void accounts_release(struct accounts *accounts) {
    for (size_t i = 0; i < map_slots(&accounts->tables); i++) {
        struct table_account *account = map_at(&accounts->tables, i);
        if (account != NULL)
            free(account->tallies);
        free(account);
    }
    map_release(&accounts->tables);
    *accounts = (struct accounts){0};
}

static struct table_account *find_account(const struct accounts *accounts, const struct account_key *key) {
    return map_find(&accounts->tables, hash_account(key), is_account, key);
}

struct table_account *accounts_look_up(const struct accounts *accounts, const char *topic, oid_t oid) {
    const struct account_key key = {.topic = slice_of(topic), .oid = oid};
    return find_account(accounts, &key);
}

static bool find_or_add(struct accounts *accounts, const struct account_key *key,
                        struct table_account **ret_account, struct error *err) {
    *ret_account = find_account(accounts, key);
    if (*ret_account != NULL)
        return true;
    struct table_account *account = calloc(1, sizeof *account);
    if (account == NULL)
        return error_no_memory(err);
    memcpy(account->topic, key->topic.data, key->topic.size);
    account->oid = key->oid;
    if (!map_put(&accounts->tables, hash_account(key), is_account, key, account)) {
        free(account);
        return error_no_memory(err);
    }
    *ret_account = account;
    return true;
}

/* Partitions that were added begin at 0. */
static bool grow_account(struct table_account *account, int32_t count, struct error *err) {
    if (count <= account->count)
        return true;
    struct partition_tally *tallies = reallocarray(account->tallies, (size_t) count, sizeof *tallies);
    if (tallies == NULL)
        return error_no_memory(err);
    memset(tallies + account->count, 0, (size_t) (count - account->count) * sizeof *tallies);
    account->tallies = tallies;
    account->count = count;
    return true;
}

/* ---- what is stored ---- */

bool accounts_take(void *context, struct slice name, struct slice value, struct error *err) {
    struct accounts *accounts = context;
    struct table_account *account = NULL;
    struct account_name parsed;
    struct partition_account stored = {0};
    const size_t prefix = strlen(ACCOUNT_NAME_PREFIX);
    if (name.size < prefix || memcmp(name.data, ACCOUNT_NAME_PREFIX, prefix) != 0)
        return true;
    if (!account_name_parse(name, &parsed) || parsed.partition < 0 || parsed.partition >= PARTITIONS_MAX ||
        parsed.topic.size > TOPIC_NAME_MAX || (value.data != NULL && !account_parse(value, &stored)))
        return error_set(err, ERROR_PROTOCOL, "it is no account of a partition");
    const struct account_key key = {.topic = parsed.topic, .oid = parsed.oid};
    if (!find_or_add(accounts, &key, &account, err) || !grow_account(account, parsed.partition + 1, err))
        return false;
    account->tallies[parsed.partition] =
        (struct partition_tally){.account = stored, .is_known = value.data != NULL};
    return true;
}

/* ---- counting ---- */

static void begin_tally(struct partition_tally *tally, int64_t end) {
    if (!tally->is_known || (end == 0 && tally->account.from + (int64_t) tally->account.count > 0))
        tally->account = (struct partition_account){.from = end};
    tally->is_known = true;
}

bool accounts_find(struct accounts *accounts, const struct topic *topic, oid_t oid,
                   struct table_account **ret_account, struct error *err) {
    const struct account_key key = {.topic = slice_of(topic->name), .oid = oid};
    struct table_account *account = NULL;
    if (!find_or_add(accounts, &key, &account, err) || !grow_account(account, topic->partitions.count, err))
        return false;
    for (int32_t i = 0; !account->is_begun && i < topic->partitions.count; i++)
        begin_tally(&account->tallies[i], topic->partitions.ends[i]);
    account->is_begun = true;
    *ret_account = account;
    return true;
}

bool accounts_add(struct accounts *accounts, struct table_account *account, int32_t partition,
                  const struct message_place *place, struct error *err) {
    if (!grow_account(account, partition + 1, err))
        return false;
    struct partition_tally *tally = &account->tallies[partition];
    account_add(&tally->account, place->commit_lsn, place->index);
    tally->is_known = tally->is_changed = true;
    if (!account->is_changed) {
        account->is_changed = true;
        account->next = accounts->changed;
        accounts->changed = account;
    }
    return true;
}

/* ---- storing ---- */

/* A NULL value is a tombstone. */
static bool send_record(const struct outgoing *to, struct producer *producer, const char *position_key,
                        const struct table_account *account, int32_t partition, const char *value,
                        struct error *err) {
    char key[ACCOUNT_KEY_MAX];
    const struct account_name name = {
        .topic = slice_of(account->topic), .partition = partition, .oid = account->oid};
    struct outgoing message = *to;
    if (!account_name_format(position_key, &name, key))
        return error_set(err, ERROR_CONFIG, "the names of pipeline, sink and topic %s are too long",
                         account->topic);
    message.key = slice_of(key);
    if (value != NULL)
        message.value = slice_of(value);
    return producer_send(producer, &message, err);
}

static bool send_changed(const struct outgoing *to, struct producer *producer, const char *position_key,
                         struct table_account *account, struct error *err) {
    char text[ACCOUNT_TEXT_MAX];
    for (int32_t i = 0; i < account->count; i++) {
        struct partition_tally *tally = &account->tallies[i];
        if (!tally->is_changed)
            continue;
        account_format(&tally->account, text);
        if (!send_record(to, producer, position_key, account, i, text, err))
            return false;
        tally->is_changed = false;
    }
    account->is_changed = false;
    return true;
}

bool accounts_send(struct accounts *accounts, struct producer *producer, rd_kafka_topic_t *position_topic,
                   const char *position_key, struct error *err) {
    const struct outgoing to = {.topic = position_topic};
    for (; accounts->changed != NULL; accounts->changed = accounts->changed->next)
        if (!send_changed(&to, producer, position_key, accounts->changed, err))
            return false;
    return true;
}

bool accounts_remove(struct accounts *accounts, struct producer *producer, rd_kafka_topic_t *position_topic,
                     const char *position_key, struct error *err) {
    const struct outgoing to = {.topic = position_topic};
    for (size_t slot = 0; slot < map_slots(&accounts->tables); slot++) {
        struct table_account *account = map_at(&accounts->tables, slot);
        for (int32_t i = 0; account != NULL && i < account->count; i++)
            if (account->tallies[i].is_known &&
                !send_record(&to, producer, position_key, account, i, NULL, err))
                return false;
    }
    return true;
}
