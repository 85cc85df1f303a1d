/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps_table.h - pgcdc.migration itself: is it there, who may write it, and when it goes.
 */
#pragma once

#include "cdc/migrate/steps/steps.h"

/* Needs no right on the schema. */
MUST_CHECK bool steps_table_exists(struct session *session, bool *ret_exists, struct error *err);

/* Creates it if it does not exist, in the schema of the position. */
MUST_CHECK bool steps_table_create(struct steps *steps, struct error *err);

/* If it has rows, or the role does not own it, it stays; that is no failure. */
MUST_CHECK bool steps_table_drop_if_empty(struct steps *steps, struct error *err);
