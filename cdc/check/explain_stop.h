/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_stop.h - what check knows about an error that has stopped run.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/config/config.h"

/*
 * For an error that needs an operator: sets the remedy to the fix that check prints for its cause, and logs
 * the other problems that check finds. The pipeline must be closed. Does nothing if check cannot be done.
 */
void explain_stop(const struct config *config, const atomic_bool *stop, struct error *err);
