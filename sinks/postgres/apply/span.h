/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h - changes in the source's order, each with the target table it goes to.
 */
#pragma once

#include <stddef.h>

#include "decoder/change.h"

struct target_table;

struct span {
    const struct change *changes;
    struct target_table *const *tables; /* of each change; NULL for a change that is no row */
    size_t count;
};
