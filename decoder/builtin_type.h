/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_type.h - names of the built-in types, and which of them are portable: their binary form has the
 * same meaning in every cluster.
 *
 * OIDs below 16384 are fixed by PostgreSQL's own catalog. Built in, but not portable on purpose:
 *
 *   the reg* types   their binary form is an OID of the source
 *   xml              its binary form rewrites the declaration
 *   interval         16 reads the 'infinity' of 17 as 178 million years; it refuses the text
 *   tsquery          an empty one is sent but not accepted: "operand not found"
 *   aclitem          and others: no binary form
 *
 * money is portable: lc_monetary is pinned on both sides.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

#define BUILTIN_TYPE_FIXED_END 10000u /* below this an OID is the same type on every server */

/* True when a value in the type's binary format has the same meaning on every PostgreSQL 14 to 18. */
bool builtin_type_is_portable(oid_t type_oid);

/* The array type of a portable type, or 0 when it has none (arrays have none). */
oid_t builtin_type_array(oid_t type_oid);

/* True for array types that are portable. */
bool builtin_type_is_array(oid_t type_oid);

/*
 * pg_type.typname of a type in pg_catalog, or NULL. Knows every type with an OID below 10000 that a column
 * can have. For all others, built in or not, the server sends Type messages, because their OIDs differ
 * between versions.
 */
const char *builtin_type_name(oid_t type_oid);

/* The reverse: the OID of a type in pg_catalog, or 0. */
oid_t builtin_type_find(struct slice name);
