/* SPDX-License-Identifier: Apache-2.0 */
/*
 * after.h - what comes after the copy, made object by object by several connections.
 */
#pragma once

#include "cdc/migrate/schema/sides.h"
#include "cdc/migrate/steps/steps.h"

/*
 * Makes the waiting objects of the stage after the copy. Each is one transaction, with its row in
 * pgcdc.migration.
 */
MUST_CHECK bool after_make(struct sides *sides, const struct steps *steps, size_t *ret_made,
                           struct error *err);

/* Waits until no statement of an earlier process of this pipeline is at work. */
MUST_CHECK bool after_await_earlier(struct sides *sides, const struct steps *steps, struct error *err);
