/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h - what a step of a rule makes of a value.
 *
 * A step is a function of null, or a text, alone. Rows of a copy and streamed changes go through the same
 * one, so they cannot differ. Text is UTF-8. Any thread: steps and their keys are only read.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "sinks/mapping/rule.h"

/* Of a text column. Of another type two results may be equal that are different texts: 07 and 7. */
enum uniqueness step_uniqueness(const struct step *step);

/* "trim", "hash": as in the file. */
const char *step_name(enum step_kind kind);

/*
 * Carries the steps out one after the other. value.data NULL: null, in and out. The result is the value or a
 * part of it, a step's text, or in arena. ERROR_DATA: the text is not UTF-8, or has too few or too many
 * digits for FF1; the error never contains the value.
 */
MUST_CHECK bool steps_run(const struct step *steps, size_t count, struct slice value, struct arena *arena,
                          struct slice *ret_value, struct error *err);
