/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.h - the tables that the micro benchmarks speak of, and transactions on them.
 *
 * They are those of bench/workloads: a narrow one of four columns, a wide one of fifteen, and documents whose
 * body is TOASTed. The same rows come out every time.
 */
#pragma once

#include "tests/support/change_builder.h"

enum { ROWS = 1000 }; /* of a transaction */

struct rows {
    struct change_builder builder; /* its changes: BEGIN, the rows, COMMIT */
    const struct relation *relation;
};

/* Fills rows with one transaction of ROWS rows. */
void rows_insert_narrow(struct rows *rows);
void rows_insert_wide(struct rows *rows);
void rows_update_unchanged(struct rows *rows); /* the body, which is large, is not sent */
void rows_delete(struct rows *rows);
void rows_release(struct rows *rows);
