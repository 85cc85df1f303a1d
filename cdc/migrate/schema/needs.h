/* SPDX-License-Identifier: Apache-2.0 */
/*
 * needs.h - what only a person can provide at the target, checked before anything is made.
 */
#pragma once

#include "cdc/migrate/schema/sides.h"

/*
 * For the objects that wait: extensions, roles, and the right to give objects to these. ERROR_CONFIG: the
 * target lacks one.
 */
MUST_CHECK bool needs_check(struct sides *sides, struct error *err);
