/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry_definition.h - the definitions of relations that a segment's entries refer to, for entry_read.c.
 */
#pragma once

#include "proto/entry.h"

/* ERROR_PROTOCOL: these bytes are not entries. */
static inline bool entry_refuse(struct error *err, const char *problem) {
    return error_set(err, ERROR_PROTOCOL, "an entry: %s", problem);
}

/* Numbers have no gaps. One that is known already comes from an index, or was read before. */
MUST_CHECK bool entry_define_relation(struct entry_reader *reader, uint64_t number, struct slice definition,
                                      struct error *err);

/* ERROR_PROTOCOL when it was not defined. */
MUST_CHECK bool entry_find_relation(const struct entry_reader *reader, uint64_t number,
                                    const struct relation **ret_relation, struct error *err);
