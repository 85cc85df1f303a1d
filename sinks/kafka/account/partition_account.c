/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_account.c - keys and values as text; what is read must be what would be written.
 */
#include "sinks/kafka/account/partition_account.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool account_name_format(const char *prefix, const struct account_name *name, char key[ACCOUNT_KEY_MAX]) {
    const int size = snprintf(key, ACCOUNT_KEY_MAX, "%s" ACCOUNT_NAME_PREFIX "%.*s/%" PRId32 "/%" PRIu32,
                              prefix, (int) name->topic.size, name->topic.data, name->partition, name->oid);
    return size < ACCOUNT_KEY_MAX;
}

/* Topics have no '/' in their names. */
bool account_name_parse(struct slice text, struct account_name *ret_name) {
    char copy[ACCOUNT_KEY_MAX], again[ACCOUNT_KEY_MAX];
    struct account_name name;
    const size_t prefix = strlen(ACCOUNT_NAME_PREFIX);
    if (text.size >= sizeof copy || text.size < prefix || memcmp(text.data, ACCOUNT_NAME_PREFIX, prefix) != 0)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    name.topic = (struct slice){.data = text.data + prefix, .size = strcspn(copy + prefix, "/")};
    if (sscanf(copy + prefix + name.topic.size, "/%" SCNd32 "/%" SCNu32, &name.partition, &name.oid) != 2 ||
        !account_name_format("", &name, again) || strcmp(again, copy) != 0)
        return false;
    *ret_name = name;
    return true;
}

void account_format(const struct partition_account *account, char text[ACCOUNT_TEXT_MAX]) {
    snprintf(text, ACCOUNT_TEXT_MAX,
             "{\"from\":%" PRId64 ",\"count\":%" PRIu64 ",\"places\":\"%016" PRIx64 "\"}", account->from,
             account->count, account->places);
}

bool account_parse(struct slice text, struct partition_account *ret_account) {
    char copy[ACCOUNT_TEXT_MAX], again[ACCOUNT_TEXT_MAX];
    struct partition_account account;
    if (text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (sscanf(copy, "{\"from\":%" SCNd64 ",\"count\":%" SCNu64 ",\"places\":\"%16" SCNx64, &account.from,
               &account.count, &account.places) != 3)
        return false;
    account_format(&account, again);
    if (strcmp(again, copy) != 0)
        return false;
    *ret_account = account;
    return true;
}
