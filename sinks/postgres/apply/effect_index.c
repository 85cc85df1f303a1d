/* SPDX-License-Identifier: Apache-2.0 */
/*
 * effect_index.c - hashes keys and probes.
 */
#include "sinks/postgres/apply/effect_index.h"

#include <stdlib.h>
#include <string.h>

#include "sinks/postgres/apply/row_change.h"
#include "sinks/postgres/apply/value_hash.h"

#define SLOTS_MIN 1024u

void effect_index_release(struct effect_index *index) {
    free(index->slots);
    *index = (struct effect_index){0};
}

bool effect_index_reset(struct effect_index *index, size_t rows, struct error *err) {
    uint32_t slots = SLOTS_MIN;
    while (slots < 2 * rows)
        slots *= 2;
    if (slots > index->slot_count) {
        uint32_t *grown = reallocarray(index->slots, slots, sizeof *grown);
        if (grown == NULL)
            return error_no_memory(err);
        index->slots = grown;
        index->slot_count = slots;
    }
    memset(index->slots, 0xff, index->slot_count * sizeof *index->slots); /* EFFECT_NONE */
    return true;
}

uint32_t effect_index_hash(const struct target_table *table, const struct value *key) {
    uint64_t hash = table->oid;
    for (uint32_t i = 0; i < table->key_count; i++)
        hash = value_hash_add(hash, &key[table->key_columns[i]]);
    return hash_end(hash);
}

static bool has_key(const struct effect *effect, const struct target_table *table, const struct value *key) {
    if (effect->table != table)
        return false;
    for (uint32_t i = 0; i < table->key_count; i++)
        if (!value_is_same(&effect->key[table->key_columns[i]], &key[table->key_columns[i]]))
            return false;
    return true;
}

uint32_t *effect_index_probe(const struct effect_index *index, const struct effect *effects,
                             const struct target_table *table, const struct value *key, uint32_t hash) {
    uint32_t mask = index->slot_count - 1;
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        uint32_t found = index->slots[at];
        if (found == EFFECT_NONE || (effects[found].hash == hash && has_key(&effects[found], table, key)))
            return &index->slots[at];
    }
}
