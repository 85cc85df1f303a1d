/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_identity.h - which database a sink writes to, whatever host name its dsn uses.
 */
#pragma once

#include <stdint.h>

#include "cdc/source/source.h"

struct target_identity {
    uint64_t system_id; /* 0: unknown, because the role lacks the right to read it */
    char database[DATABASE_NAME_MAX];
};

MUST_CHECK bool target_identity_read(struct session *target, struct target_identity *ret_identity,
                                     struct error *err);

/* True only if both identities are known. */
bool target_identity_equal(const struct target_identity *a, const struct target_identity *b);
bool target_identity_is_source(const struct target_identity *target, const struct source_identity *source);
