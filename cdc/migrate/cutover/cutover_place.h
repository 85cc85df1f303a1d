/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_place.h - which side the applications are on, from the rows of pgcdc.migration.
 */
#pragma once

#include "cdc/migrate/cutover/cutover.h"
#include "cdc/migrate/steps/steps.h"

#define CUTOVER_STEP "cutover"
#define ROLLBACK_STEP "rollback"
#define SEAL_STEP "seal" /* object: the side that is read-only by us, "source" or "target" of the file */
#define OUTAGE_STEP "outage"
#define CLOSED_STATE "closed"

enum cutover_place {
    PLACE_SOURCE,       /* where they were at first */
    PLACE_FLIPPING,     /* the source is sealed, and the hook may have run */
    PLACE_TARGET,       /* after a cutover */
    PLACE_ROLLING_BACK, /* the target is sealed, and the hook may have run */
    PLACE_CLOSED,       /* as PLACE_TARGET; there is no way back */
};

MUST_CHECK bool cutover_place_read(struct steps *steps, struct arena *arena, enum cutover_place *ret_place,
                                   struct error *err);
