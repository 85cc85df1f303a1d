/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule.c - wipes the keys of a mapping.
 */
#include "sinks/mapping/rule.h"

#include "sinks/mapping/mask_key.h"

void mapping_release(const struct mapping *mapping) {
    for (size_t i = 0; mapping != NULL && i < mapping->count; i++)
        for (size_t k = 0; k < mapping->rules[i].column_count; k++)
            for (size_t n = 0; n < mapping->rules[i].columns[k].step_count; n++)
                if (mapping->rules[i].columns[k].steps[n].key != NULL)
                    mask_key_release(
                        (struct mask_key *) (uintptr_t) mapping->rules[i].columns[k].steps[n].key);
}
