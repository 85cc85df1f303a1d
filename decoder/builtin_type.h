/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_type.h - what built-in types are called, and which mean the same in every cluster in their binary
 * form too.
 *
 * OIDs below 16384 are fixed by PostgreSQL's own catalog. Left out on purpose although built in:
 *
 *   the reg* types   their binary form is an OID of the source
 *   xml              its binary form rewrites the declaration
 *   interval         17 sends 'infinity' as what 16 takes for 178 million years; its text would be refused
 *   tsquery          an empty one is sent but not received again: "operand not found"
 *   aclitem          and others have no binary form
 *
 * money is in: both sides' lc_monetary is pinned.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

#define BUILTIN_TYPE_FIXED_END 10000u /* an OID below is the same type on every server */

/* True when the type's send format can be handed to any other PostgreSQL 14 to 18 as it is. */
bool builtin_type_is_portable(oid_t type_oid);

/* The array type of a portable non-array type, or 0 when there is none (arrays have none). */
oid_t builtin_type_array(oid_t type_oid);

/* True for array types that are portable. */
bool builtin_type_is_array(oid_t type_oid);

/*
 * pg_type.typname of a type in pg_catalog, or NULL. Knows every type with an OID below 10000 that a column
 * can have; for the others, built in or not, the server sends Type messages, because their OIDs differ
 * between versions.
 */
const char *builtin_type_name(oid_t type_oid);

/* The way back: the OID of a type in pg_catalog, or 0. */
oid_t builtin_type_find(struct slice name);
