/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_print.h - the result of verify, for people and for programs.
 */
#pragma once

#include <stdio.h>

#include "cdc/base/json_writer.h"
#include "cdc/verify/verify.h"

/* "equal", "different", … */
const char *verify_result_name(enum verify_result result);

/* A table with a line for each table, and a sentence. */
void verify_print(const struct verify *verify, FILE *out);

/* One object of the array "sinks". */
void verify_put(const struct verify *verify, struct json_writer *json);
