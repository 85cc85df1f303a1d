/* SPDX-License-Identifier: Apache-2.0 */
/*
 * before.h - what the copy needs, made in one transaction.
 */
#pragma once

#include "cdc/migrate/schema/sides.h"
#include "cdc/migrate/steps/steps.h"

/* Makes the waiting objects of the stage before the copy: all, or none. Adds their number to *made. */
MUST_CHECK bool before_make(struct sides *sides, const struct steps *steps, size_t *made, struct error *err);
