/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_repeat.c - a few lines that were written lately, found by their hash.
 */
#include "cdc/base/log_repeat.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/hash.h"

enum { INFO_WRITTEN_MAX = 3 };

static uint64_t hash_name(uint64_t hash, const char *name) {
    return name != NULL ? hash_bytes(hash, name, strlen(name)) : hash_mix(hash, 0);
}

static uint64_t hash_entry(const struct log_entry *entry, const char *key) {
    uint64_t hash = hash_mix(1, (uint64_t) entry->event);
    hash = hash_name(hash, entry->sink);
    hash = hash_name(hash, entry->table);
    hash = hash_name(hash, key);
    return hash != 0 ? hash : 1;
}

static unsigned written_max(enum log_event event) {
    return log_event_level(event) == LOG_LEVEL_INFO ? INFO_WRITTEN_MAX : 1;
}

static bool is_over(const struct log_repeat *repeat, int64_t now_ms) {
    return now_ms - repeat->window_ms >= LOG_REPEAT_WINDOW_MS;
}

static void copy_text(char *to, size_t size, const char *text) {
    snprintf(to, size, "%.*s", (int) size - 1, text != NULL ? text : "");
}

static void keep_entry(struct log_repeat *repeat, const struct log_entry *entry) {
    repeat->lsn = entry->lsn;
    copy_text(repeat->sink, sizeof repeat->sink, entry->sink);
    copy_text(repeat->table, sizeof repeat->table, entry->table);
    copy_text(repeat->sqlstate, sizeof repeat->sqlstate, entry->sqlstate);
    copy_text(repeat->text, sizeof repeat->text, entry->text);
}

static struct log_repeat *find_place(struct log_repeats *repeats, uint64_t hash) {
    struct log_repeat *place = NULL;
    for (struct log_repeat *item = repeats->items; item < repeats->items + LOG_REPEATS_MAX; item++) {
        if (item->hash == hash)
            return item;
        if (item->hash == 0 && place == NULL)
            place = item;
    }
    return place;
}

bool log_repeat_take(struct log_repeats *repeats, const struct log_entry *entry, const char *key,
                     int64_t now_ms) {
    if (log_event_level(entry->event) == LOG_LEVEL_DEBUG)
        return true;
    const uint64_t hash = hash_entry(entry, key);
    struct log_repeat *repeat = find_place(repeats, hash);
    assert(repeat != NULL);
    if (repeat->hash != hash || (is_over(repeat, now_ms) && repeat->counted == 0))
        *repeat = (struct log_repeat){.hash = hash, .event = entry->event, .window_ms = now_ms};
    if (repeat->written < written_max(entry->event)) {
        repeat->written++;
        return true;
    }
    if (repeat->counted == 0)
        repeat->since_ms = now_ms;
    repeat->counted++;
    repeat->last_ms = now_ms;
    keep_entry(repeat, entry);
    return false;
}

/* The next window begins: what repeats in it is counted from the first line on. */
static void begin_window(struct log_repeat *repeat, int64_t now_ms) {
    repeat->window_ms = now_ms;
    repeat->counted = 0;
}

bool log_repeat_due(struct log_repeats *repeats, int64_t now_ms, bool for_all, struct log_repeat *ret_due) {
    struct log_repeat *first = NULL;
    for (struct log_repeat *item = repeats->items; item < repeats->items + LOG_REPEATS_MAX; item++) {
        if (item->hash == 0 || (!for_all && !is_over(item, now_ms)))
            continue;
        if (item->counted == 0)
            item->hash = 0;
        else if (first == NULL || item->last_ms < first->last_ms)
            first = item;
    }
    if (first == NULL)
        return false;
    *ret_due = *first;
    begin_window(first, now_ms);
    return true;
}

bool log_repeat_make_room(struct log_repeats *repeats, struct log_repeat *ret_lost) {
    struct log_repeat *oldest = repeats->items;
    for (struct log_repeat *item = repeats->items; item < repeats->items + LOG_REPEATS_MAX; item++) {
        if (item->hash == 0)
            return false;
        if (item->window_ms < oldest->window_ms)
            oldest = item;
    }
    *ret_lost = *oldest;
    oldest->hash = 0;
    return ret_lost->counted > 0;
}

void log_repeat_text(const struct log_repeat *repeat, char text[static LOG_TEXT_MAX]) {
    const long long seconds = (repeat->last_ms - repeat->window_ms + 999) / 1000;
    snprintf(text, LOG_TEXT_MAX, "%s; repeated %llu %s in %lld s", repeat->text, repeat->counted,
             repeat->counted == 1 ? "time" : "times", seconds > 0 ? seconds : 1);
}
