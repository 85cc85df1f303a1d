/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_expand.h - ${VAR} in a value of the configuration.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"

/*
 * Copies text into arena, with every ${VAR} replaced by the environment's value and every $$ by one $; any
 * other $ stays. ERROR_CONFIG names a variable that is not set; no error contains a value.
 */
MUST_CHECK bool config_expand(const char *text, struct arena *arena, const char **ret_text,
                              struct error *err);
