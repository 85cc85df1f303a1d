/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_order.c - the first bytes of a key decide nearly always, so they are beside the row that is sorted.
 */
#include "sinks/postgres/apply/key_order.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 8u

struct ordered {
    uint64_t head; /* of the key's first column */
    const struct effect *effect;
};

static const struct value *key_value(const struct effect *effect, uint32_t i) {
    return &effect->key[effect->table->key_columns[i]];
}

static uint64_t head_of(const struct value *value) {
    uint64_t head = 0;
    for (uint32_t i = 0; i < HEAD_BYTES; i++)
        head = head << 8 | (i < value->size ? (uint8_t) value->data[i] : 0);
    return head;
}

static int compare_values(const struct value *one, const struct value *other) {
    const uint32_t size = one->size < other->size ? one->size : other->size;
    const int order = size > 0 ? memcmp(one->data, other->data, size) : 0;
    return order != 0 ? order : (one->size > other->size) - (one->size < other->size);
}

static int compare_keys(const void *a, const void *b) {
    const struct ordered *one = a, *other = b;
    int order = (one->head > other->head) - (one->head < other->head);
    for (uint32_t i = 0; order == 0 && i < one->effect->table->key_count; i++)
        order = compare_values(key_value(one->effect, i), key_value(other->effect, i));
    return order;
}

bool key_order_sort(const struct effect **effects, uint32_t count, struct arena *arena, struct error *err) {
    struct ordered *ordered = arena_alloc(arena, (count + 1) * sizeof *ordered);
    bool is_sorted = true;
    if (ordered == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        ordered[i] = (struct ordered){.head = head_of(key_value(effects[i], 0)), .effect = effects[i]};
        is_sorted = is_sorted && (i == 0 || compare_keys(&ordered[i - 1], &ordered[i]) <= 0);
    }
    if (is_sorted)
        return true;
    qsort(ordered, count, sizeof *ordered, compare_keys);
    for (uint32_t i = 0; i < count; i++)
        effects[i] = ordered[i].effect;
    return true;
}
