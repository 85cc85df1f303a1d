/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_detail.h - the detail of a step from a JSON writer.
 */
#pragma once

#include "cdc/base/json_writer.h"

/* The finished document without its newline. *ret_text lives as long as text, which the caller releases. */
MUST_CHECK bool step_detail(struct json_writer *json, struct buffer *text, const char **ret_text,
                            struct error *err);
