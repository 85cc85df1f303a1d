/* SPDX-License-Identifier: Apache-2.0 */
/*
 * after.h - what comes after the copy, made object by object by several connections.
 */
#pragma once

#include "cdc/migrate/schema/sides.h"
#include "cdc/migrate/steps/steps.h"

/*
 * Makes the waiting objects of the stage after the copy. Each is one transaction, with its row in
 * pgcdc.migration. Adds their number to *made, also after an error.
 */
MUST_CHECK bool after_make(struct sides *sides, const struct steps *steps, size_t *made, struct error *err);
