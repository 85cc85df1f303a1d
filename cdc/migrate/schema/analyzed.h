/* SPDX-License-Identifier: Apache-2.0 */
/*
 * analyzed.h - tables whose statistics are complete already, because the copy has analyzed them.
 */
#pragma once

#include "cdc/migrate/schema/sides.h"

/* The ANALYZE of such a table has nothing to run. */
MUST_CHECK bool analyzed_skip(struct sides *sides, struct error *err);
