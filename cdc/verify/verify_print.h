/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_print.h - what verify found, for people and for programs.
 */
#pragma once

#include <stdio.h>

#include "cdc/print/json_writer.h"
#include "cdc/verify/verify.h"

/* A table of the tables and a sentence. */
void verify_print(const struct verify *verify, FILE *out);

/* One object of the array "sinks". */
void verify_put(const struct verify *verify, struct json_writer *json);
