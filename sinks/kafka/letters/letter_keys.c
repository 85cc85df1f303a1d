/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter_keys.c - keys in a list and two maps; the text of a record is read field by field.
 */
#include "sinks/kafka/letters/letter_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/hash.h"

enum { LETTER_BLOCK_BYTES = 16 * 1024, NUMBER_DIGITS_MAX = 20 };

#define LETTER_BYTES_MAX ((size_t) 1 << 30)

void letter_keys_release(struct letter_keys *keys) {
    map_release(&keys->by_bytes);
    map_release(&keys->by_number);
    if (keys->has_arena)
        arena_release(&keys->arena);
    *keys = (struct letter_keys){0};
}

/* ---- finding ---- */

struct key_bytes {
    struct slice topic, key;
};

static bool is_null(struct slice bytes) {
    return bytes.data == NULL;
}

static bool has_key_bytes(const void *object, const void *wanted) {
    const struct letter_key *key = object;
    const struct key_bytes *bytes = wanted;
    return is_null(key->key) == is_null(bytes->key) && slice_equal(key->topic, bytes->topic) &&
           (is_null(key->key) || slice_equal(key->key, bytes->key));
}

static uint64_t hash_key_bytes(const struct key_bytes *bytes) {
    const uint64_t hash = hash_bytes(is_null(bytes->key), bytes->topic.data, bytes->topic.size);
    return is_null(bytes->key) ? hash : hash_bytes(hash, bytes->key.data, bytes->key.size);
}

struct letter_key *letter_keys_find(const struct letter_keys *keys, struct slice topic, struct slice key) {
    const struct key_bytes bytes = {.topic = topic, .key = key};
    struct letter_key *found = map_find(&keys->by_bytes, hash_key_bytes(&bytes), has_key_bytes, &bytes);
    return found != NULL && !found->is_gone ? found : NULL;
}

static bool have_topic(const struct letter_keys *keys, struct slice topic) {
    for (const struct letter_key *key = keys->all; key != NULL; key = key->next)
        if (!key->is_gone && slice_equal(key->topic, topic))
            return true;
    return false;
}

/* A message without a key follows all of its topic, and all of it follows such a one. */
bool letter_keys_have(const struct letter_keys *keys, struct slice topic, struct slice key) {
    const struct slice none = {0};
    if (keys->count == 0)
        return false;
    if (is_null(key))
        return have_topic(keys, topic);
    return letter_keys_find(keys, topic, key) != NULL || letter_keys_find(keys, topic, none) != NULL;
}

void letter_keys_total(const struct letter_keys *keys, uint64_t *ret_failed, uint64_t *ret_waiting) {
    *ret_failed = *ret_waiting = 0;
    for (const struct letter_key *key = keys->all; key != NULL; key = key->next)
        if (!key->is_gone) {
            *ret_failed += key->failed;
            *ret_waiting += key->waiting;
        }
}

/* ---- marking ---- */

void letter_keys_unmark(struct letter_keys *keys) {
    for (struct letter_key *key = keys->all; key != NULL; key = key->next)
        key->is_marked = false;
}

bool letter_keys_is_marked(const struct letter_keys *keys, const struct letter_key *key) {
    if (key->is_marked)
        return true;
    for (const struct letter_key *other = keys->all; other != NULL; other = other->next)
        if (other->is_marked && (is_null(other->key) || is_null(key->key)) &&
            slice_equal(other->topic, key->topic))
            return true;
    return false;
}

/* ---- changing ---- */

static void begin_letters(struct letter_keys *keys) {
    if (!keys->has_arena)
        arena_init(&keys->arena, LETTER_BLOCK_BYTES, LETTER_BYTES_MAX);
    keys->has_arena = true;
}

static bool put_key(struct letter_keys *keys, struct letter_key *key) {
    const struct key_bytes bytes = {.topic = key->topic, .key = key->key};
    key->next = keys->all;
    keys->all = key;
    keys->count++;
    return map_put(&keys->by_bytes, hash_key_bytes(&bytes), has_key_bytes, &bytes, key) &&
           map_put_number(&keys->by_number, key->number, key);
}

static bool copy_bytes(struct letter_keys *keys, struct slice *bytes) {
    const char *copy = arena_copy(&keys->arena, *bytes);
    bytes->data = copy;
    return copy != NULL;
}

static struct letter_key *new_key(struct letter_keys *keys, struct slice topic, struct slice key) {
    begin_letters(keys);
    struct letter_key *made = arena_alloc_zero(&keys->arena, sizeof *made);
    if (made == NULL)
        return NULL;
    made->topic = topic;
    made->key = key;
    return copy_bytes(keys, &made->topic) && (is_null(key) || copy_bytes(keys, &made->key)) ? made : NULL;
}

bool letter_keys_add(struct letter_keys *keys, struct slice topic, struct slice key, oid_t oid, uint64_t from,
                     struct letter_key **ret_key, struct error *err) {
    struct letter_key *made = new_key(keys, topic, key);
    if (made == NULL)
        return error_no_memory(err);
    made->number = keys->next++;
    made->from = from;
    made->oid = oid;
    made->is_changed = keys->is_changed = true;
    *ret_key = made;
    return put_key(keys, made) || error_no_memory(err);
}

void letter_keys_remove(struct letter_keys *keys, struct letter_key *key) {
    if (key->is_gone)
        return;
    key->is_gone = key->is_changed = keys->is_changed = true;
    keys->count--;
}

/* ---- records ---- */

void letter_keys_write_head(const struct letter_keys *keys, struct buffer *text) {
    buffer_printf(text, "{\"next\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"topic\":\"%s\"}", keys->next,
                  keys->skipped, keys->topic != NULL ? keys->topic : "");
}

void letter_keys_write(const struct letter_key *key, struct buffer *text) {
    buffer_printf(text, "{\"from\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"waiting\":%" PRIu64, key->from,
                  key->failed, key->waiting);
    buffer_printf(text, ",\"oid\":%" PRIu32 ",\"topic\":\"%.*s\",\"key\":", key->oid, (int) key->topic.size,
                  key->topic.data);
    if (is_null(key->key)) {
        buffer_append_text(text, "null}");
        return;
    }
    buffer_append_text(text, "\"");
    for (size_t i = 0; i < key->key.size; i++)
        buffer_printf(text, "%02x", (unsigned char) key->key.data[i]);
    buffer_append_text(text, "\"}");
}

static int hex_value(char digit) {
    return digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The bytes take the place of their digits, which are in arena. */
static bool take_hex(char *digits, struct slice *ret_bytes) {
    const size_t size = strspn(digits, "0123456789abcdef");
    if (size % 2 != 0 || strcmp(digits + size, "\"}") != 0)
        return false;
    for (size_t i = 0; i < size / 2; i++)
        digits[i] = (char) (hex_value(digits[2 * i]) * 16 + hex_value(digits[2 * i + 1]));
    *ret_bytes = (struct slice){.data = digits, .size = size / 2};
    return true;
}

static bool take_key_text(char *text, struct letter_key *key) {
    static const char KEY[] = "\",\"key\":";
    int at = 0;
    if (sscanf(text,
               "{\"from\":%" SCNu64 ",\"failed\":%" SCNu64 ",\"waiting\":%" SCNu64 ",\"oid\":%" SCNu32
               ",\"topic\":\"%n",
               &key->from, &key->failed, &key->waiting, &key->oid, &at) != 4 ||
        at == 0)
        return false;
    key->topic = (struct slice){.data = text + at, .size = strcspn(text + at, "\"")};
    char *rest = text + at + key->topic.size;
    if (strncmp(rest, KEY, strlen(KEY)) != 0)
        return false;
    rest += strlen(KEY);
    if (strcmp(rest, "null}") == 0)
        return true;
    return *rest == '"' && take_hex(rest + 1, &key->key);
}

static bool take_number(struct slice digits, uint64_t *ret_number) {
    char text[NUMBER_DIGITS_MAX + 1];
    if (digits.size == 0 || digits.size >= sizeof text)
        return false;
    memcpy(text, digits.data, digits.size);
    text[digits.size] = '\0';
    *ret_number = strtoull(text, NULL, 10);
    return text[strspn(text, "0123456789")] == '\0';
}

static bool take_key(struct letter_keys *keys, uint64_t number, struct slice value, struct error *err) {
    struct letter_key *known = map_find_number(&keys->by_number, number);
    if (is_null(value)) {
        if (known != NULL)
            letter_keys_remove(keys, known), known->is_changed = false;
        return true;
    }
    if (known != NULL && known->is_gone)
        known = NULL; /* of the pipeline before it was dropped */
    char *text = arena_copy(&keys->arena, value);
    struct letter_key *key = known != NULL ? known : arena_alloc_zero(&keys->arena, sizeof *key);
    if (text == NULL || key == NULL)
        return error_no_memory(err);
    struct letter_key read = {.number = number, .next = key->next};
    if (!take_key_text(text, &read))
        return error_set(err, ERROR_PROTOCOL, "it is no key of dead letters");
    *key = read;
    return known != NULL || put_key(keys, key) || error_no_memory(err);
}

/* Ends the topic's name in place. */
static bool take_head_text(char *text, struct letter_keys *keys) {
    int at = 0;
    if (sscanf(text, "{\"next\":%" SCNu64 ",\"skipped\":%" SCNu64 ",\"topic\":\"%n", &keys->next,
               &keys->skipped, &at) != 2 ||
        at == 0)
        return false;
    char *end = strchr(text + at, '"');
    if (end == NULL || strcmp(end, "\"}") != 0)
        return false;
    *end = '\0';
    keys->topic = text + at;
    return true;
}

static bool take_head(struct letter_keys *keys, struct slice value, struct error *err) {
    if (is_null(value)) {
        keys->next = keys->skipped = 0;
        keys->topic = NULL;
        return true;
    }
    char *text = arena_copy(&keys->arena, value);
    if (text == NULL)
        return error_no_memory(err);
    return take_head_text(text, keys) || error_set(err, ERROR_PROTOCOL, "it is no head of dead letters");
}

bool letter_keys_take(void *context, struct slice name, struct slice value, struct error *err) {
    struct letter_keys *keys = context;
    const size_t prefix = strlen(LETTERS_NAME_PREFIX);
    uint64_t number = 0;
    bool is_taken = false;
    if (name.size < prefix || memcmp(name.data, LETTERS_NAME_PREFIX, prefix) != 0)
        return true;
    const struct slice rest = {.data = name.data + prefix, .size = name.size - prefix};
    begin_letters(keys);
    if (rest.size == 0)
        is_taken = take_head(keys, value, err);
    else if (rest.data[0] != '/' ||
             !take_number((struct slice){.data = rest.data + 1, .size = rest.size - 1}, &number))
        return error_set(err, ERROR_PROTOCOL, "it is no key of dead letters");
    else
        is_taken = take_key(keys, number, value, err);
    keys->is_changed = false;
    return is_taken;
}
