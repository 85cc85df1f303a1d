/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsn.h - the scalars of PostgreSQL's WAL and catalogs, and the LSN's text form "16/B374D848".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"

typedef uint64_t lsn_t; /* a byte position in the WAL; 0 is "none" */
typedef uint32_t xid_t;
typedef uint32_t oid_t;

#define LSN_TEXT_MAX 18 /* "FFFFFFFF/FFFFFFFF" and its NUL */

struct lsn_text {
    char text[LSN_TEXT_MAX];
};

/* By value, so that it can be an argument: printf("%s", lsn_format(lsn).text). */
struct lsn_text lsn_format(lsn_t lsn);

/* False when text is not exactly an LSN; *ret_lsn is then untouched. */
MUST_CHECK bool lsn_parse(const char *text, lsn_t *ret_lsn);
