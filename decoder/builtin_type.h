/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_type.h - which types mean the same in every cluster, in their binary form too.
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

/* True when the type's send format can be handed to any other PostgreSQL 14 to 18 as it is. */
bool builtin_type_is_portable(oid_t type_oid);

/* The array type of a portable non-array type, or 0 when there is none (arrays have none). */
oid_t builtin_type_array(oid_t type_oid);

/* True for array types that are portable. */
bool builtin_type_is_array(oid_t type_oid);
