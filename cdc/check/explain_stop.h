/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_stop.h - what check knows of an error that has stopped run.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/config/config.h"

/*
 * For an error that an operator has to mend: puts the fix that check prints for its cause into the remedy,
 * and logs the other problems that check finds. The pipeline is closed by then. Does nothing when that cannot
 * be asked.
 */
void explain_stop(const struct config *config, const atomic_bool *stop, struct error *err);
