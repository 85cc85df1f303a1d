/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_record.c - written by one printf and read field by field; only exactly that form is accepted.
 */
#include "sinks/kafka/position/position_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT                                                                                               \
    "{\"version\":%d,\"claim\":\"%016" PRIx64                                                                \
    "\",\"end_lsn\":\"%s\",\"commit_lsn\":\"%s\",\"index\":%" PRIu64 ",\"system_id\":\"%" PRIu64             \
    "\",\"timeline\":%" PRIu32 "}"

/* The version is the first one, and these. */
enum { FIRST_VERSION = 1, WITH_PLAN = 1, WITH_ACCOUNTS = 2, LAST_VERSION = 4 };

struct position_text position_record_format(const struct position_record *record) {
    const struct position *position = &record->position;
    struct position_text text;
    const int version =
        FIRST_VERSION + (record->has_plan ? WITH_PLAN : 0) + (record->has_accounts ? WITH_ACCOUNTS : 0);
    snprintf(text.text, sizeof text.text, FORMAT, version, record->claim, lsn_format(position->end_lsn).text,
             lsn_format(position->commit_lsn).text, position->index, position->system_id, position->timeline);
    return text;
}

/* The rest of the text; NULL after the first mismatch. */
struct parsing {
    const char *next;
};

static void position_record_take(struct parsing *parsing, const char *expected) {
    if (parsing->next == NULL || strncmp(parsing->next, expected, strlen(expected)) != 0)
        parsing->next = NULL;
    else
        parsing->next += strlen(expected);
}

/* Digits only, because strtoull also accepts signs and blanks. */
static uint64_t take_number(struct parsing *parsing, int base) {
    const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
    if (parsing->next == NULL || strspn(parsing->next, digits) == 0) {
        parsing->next = NULL;
        return 0;
    }
    char *end = NULL;
    uint64_t number = strtoull(parsing->next, &end, base);
    parsing->next = end;
    return number;
}

static lsn_t take_lsn(struct parsing *parsing) {
    char text[LSN_TEXT_MAX] = "";
    lsn_t lsn = 0;
    size_t length = parsing->next != NULL ? strcspn(parsing->next, "\"") : sizeof text;
    if (length < sizeof text)
        memcpy(text, parsing->next, length);
    if (!lsn_parse(text, &lsn))
        parsing->next = NULL;
    else
        parsing->next += length;
    return lsn;
}

static struct position_record take_record(struct parsing *parsing) {
    struct position_record record = {0};
    position_record_take(parsing, "{\"version\":");
    const uint64_t version = take_number(parsing, 10);
    if (version < FIRST_VERSION || version > LAST_VERSION)
        parsing->next = NULL;
    record.has_plan = ((version - FIRST_VERSION) & WITH_PLAN) != 0;
    record.has_accounts = ((version - FIRST_VERSION) & WITH_ACCOUNTS) != 0;
    position_record_take(parsing, ",\"claim\":\"");
    record.claim = take_number(parsing, 16);
    position_record_take(parsing, "\",\"end_lsn\":\"");
    record.position.end_lsn = take_lsn(parsing);
    position_record_take(parsing, "\",\"commit_lsn\":\"");
    record.position.commit_lsn = take_lsn(parsing);
    position_record_take(parsing, "\",\"index\":");
    record.position.index = take_number(parsing, 10);
    position_record_take(parsing, ",\"system_id\":\"");
    record.position.system_id = take_number(parsing, 10);
    position_record_take(parsing, "\",\"timeline\":");
    record.position.timeline = (uint32_t) take_number(parsing, 10);
    position_record_take(parsing, "}");
    return record;
}

bool position_record_parse(struct slice text, struct position_record *ret_record) {
    char copy[POSITION_RECORD_MAX];
    if (text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    struct parsing parsing = {.next = copy};
    const struct position_record record = take_record(&parsing);
    if (parsing.next != copy + text.size)
        return false;
    /* An overflow (a timeline of 33 bits, an index of 65) shows when the record is formatted again. */
    if (strcmp(position_record_format(&record).text, copy) != 0)
        return false;
    *ret_record = record;
    return true;
}
