/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement_image.h - the statements that change many rows without a key.
 */
#pragma once

#include "sinks/postgres/apply/statement.h"

/* Like statement_text, for STATEMENT_IMAGE_UPDATE and STATEMENT_IMAGE_DELETE. */
int statement_image_text(struct buffer *sql, const struct target_table *table,
                         const struct statement_form *form, struct statement_parameter *parameters);
