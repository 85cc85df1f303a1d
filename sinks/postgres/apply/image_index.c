/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_index.c - uses chains, because many identical rows would make a probing table slow.
 */
#include "sinks/postgres/apply/image_index.h"

#include <stdlib.h>
#include <string.h>

#include "sinks/postgres/apply/row_change.h"
#include "sinks/postgres/apply/value_hash.h"

#define HEADS_MIN 1024u

void image_index_release(struct image_index *index) {
    free(index->heads);
    free(index->next);
    *index = (struct image_index){0};
}

static bool image_index_grow(uint32_t **list, uint32_t *count, uint32_t wanted) {
    if (wanted <= *count)
        return true;
    uint32_t *grown = reallocarray(*list, wanted, sizeof *grown);
    if (grown == NULL)
        return false;
    *list = grown;
    *count = wanted;
    return true;
}

bool image_index_reset(struct image_index *index, size_t rows, bool by_key, struct error *err) {
    uint32_t heads = HEADS_MIN;
    while (heads < rows)
        heads *= 2;
    if (!image_index_grow(&index->heads, &index->head_count, heads) ||
        !image_index_grow(&index->next, &index->next_count, (uint32_t) rows))
        return error_no_memory(err);
    memset(index->heads, 0xff, index->head_count * sizeof *index->heads); /* EFFECT_NONE */
    index->by_key = by_key;
    return true;
}

static const struct value *or_base(const struct value *value, const struct value *base) {
    return value->kind == VALUE_UNCHANGED ? base : value;
}

uint32_t image_index_hash(const struct target_table *table, const struct value *values,
                          const struct value *base) {
    uint64_t hash = table->oid;
    for (uint32_t i = 0; i < table->column_count; i++)
        hash = value_hash_add(hash, or_base(&values[i], &base[i]));
    return hash_end(hash);
}

void image_index_add(struct image_index *index, const struct effect *effects, uint32_t effect) {
    uint32_t *head = &index->heads[effects[effect].hash & (index->head_count - 1)];
    index->next[effect] = *head;
    *head = effect;
}

static bool is_alike(const struct image_index *index, const struct effect *effect,
                     const struct effect *like) {
    if (effect->hash != like->hash || effect->table != like->table)
        return false;
    const struct value *values = index->by_key ? effect->key : effect->values;
    for (uint32_t i = 0; i < like->table->column_count; i++)
        if (!value_is_same(or_base(&values[i], &effect->key[i]), &like->key[i]))
            return false;
    return true;
}

uint32_t image_index_find(struct image_index *index, const struct effect *effects, const struct effect *like,
                          bool take) {
    uint32_t *at = &index->heads[like->hash & (index->head_count - 1)];
    while (*at != EFFECT_NONE && !is_alike(index, &effects[*at], like))
        at = &index->next[*at];
    uint32_t found = *at;
    if (found != EFFECT_NONE && take)
        *at = index->next[found];
    return found;
}
