/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.h - makes sure that a table of candidates is settled as its rule says.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/row_policy.h"

/*
 * Creates what is missing beside the candidates: the table that is settled from them, pgcdc.rejected, the
 * function and its triggers. With another rule than before, all candidates are settled again. Does nothing
 * when all is there, or when the candidates are not. In the transaction that is open, or in one of its own.
 * ERROR_CONFIG: the settled table cannot take the rows.
 */
MUST_CHECK bool settle_prepare(struct session *session, bool in_transaction, const struct row_policy *policy,
                               const char *schema, const char *candidates, struct error *err);
