/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_columns.h - the columns that a table of the target has, for a plan.
 */
#pragma once

#include "cdc/base/slice.h"
#include "cdc/pq/session.h"

/* The fields of a column. */
enum {
    PLAN_NAME,
    PLAN_NUMBER,
    PLAN_NOT_NULL,
    PLAN_HAS_DEFAULT,
    PLAN_IDENTITY,
    PLAN_TYPE,
    PLAN_MODIFIER,
    PLAN_FIELDS,
};

/* By name or not; -1: the target has none. */
int plan_columns_find_name(const PGresult *columns, struct slice name);
int plan_columns_find_number(const PGresult *columns, uint32_t number);

MUST_CHECK bool plan_columns_read(struct session *session, oid_t table, PGresult **ret_columns,
                                  struct error *err);
