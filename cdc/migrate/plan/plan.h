/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - `pgcdc plan`: what a migration would move, what stands against it, and the order of work.
 *
 * A plan is an inventory, the findings of `pgcdc check` and further ones that matter to a migration only,
 * and an estimate. It reads both sides and changes nothing on either.
 */
#pragma once

#include <stdatomic.h>
#include <stdio.h>

#include "cdc/base/json_writer.h"
#include "cdc/check/check.h"
#include "cdc/migrate/plan/inventory.h"

/* What the estimate is made from, all of it shown with it. */
struct plan_assumptions {
    uint64_t copy_bytes;  /* a second, through both servers and the network, all workers together */
    uint64_t index_bytes; /* a second, of finished indexes */
    uint64_t target_disk; /* free bytes at the target; 0: not known */
    bool reads_rows;      /* data quality is examined too */
    bool has_schema;      /* what the target lacks of it is a problem: it will not be made any more */
};

struct plan_estimate {
    int64_t table_count;  /* that move, without partitions */
    int64_t unknown_rows; /* tables of these that have no statistics: rows is without theirs */
    int64_t rows;         /* of these */
    int64_t bytes;
    int64_t index_bytes;
    int64_t largest_bytes;
    int64_t disk_bytes; /* that the target needs */
    int64_t wal_rate;   /* bytes a second that the source has written on average; COUNT_UNKNOWN */
    int64_t wal_bytes;  /* that the source keeps until the copy is complete; COUNT_UNKNOWN */
    int64_t copy_ms;
    int64_t index_ms;
    int64_t verify_ms;
};

enum { PLAN_STEPS_MAX = 12 };

struct plan_step {
    const char *what;
    const char *locks; /* "" if it takes none that others notice */
    int64_t ms;        /* COUNT_UNKNOWN: not estimated */
};

/* A server that was reached. */
struct plan_server {
    const char *where; /* "source", "sink warehouse" */
    const char *database;
    char version[32];
};

struct plan {
    struct check *check; /* its arena holds whatever the plan points to */
    struct plan_assumptions assumptions;
    struct inventory inventory;
    bool has_inventory;     /* false: the source cannot be read, which is a finding */
    const char *moved_oids; /* of the tables and partitions that move, as an array's text */
    struct plan_server *servers;
    size_t server_count;
    struct plan_estimate estimate;
    struct plan_step steps[PLAN_STEPS_MAX];
    size_t step_count;
};

/*
 * check: initialized, with its configuration; released by the caller. Findings are dropped only when memory
 * is exhausted.
 */
void plan_make(struct plan *plan, struct check *check, const struct plan_assumptions *assumptions);

/*
 * After plan_make, before its findings are grouped: what is at the sinks now, which were changed since. What
 * is known of the source stays; check's session there is open.
 */
void plan_look_again(struct plan *plan);

/* estimate.c: from the inventory. */
void plan_estimate(struct plan *plan, int64_t wal_rate);
void plan_order_steps(struct plan *plan);

/* plan_checks.c: what no single query finds. */
void plan_check_pooler(struct plan *plan);
void plan_check_room(struct plan *plan);

/* A text in check's arena; "" when memory is exhausted, and then the findings have failed. */
const char *plan_printf(struct plan *plan, const char *format, ...) PRINTF_LIKE(2, 3);

/* After findings_group. */
void plan_print(const struct plan *plan, FILE *file);
MUST_CHECK bool plan_write_html(const struct plan *plan, const char *path, struct error *err);
/* fdw.c: with an inventory; SQL for psql at the target. */
MUST_CHECK bool plan_print_fdw(struct plan *plan, FILE *file, struct error *err);
/* A key and its value: an array of where, version and database. */
void plan_put_servers(const struct plan *plan, struct json_writer *json);
MUST_CHECK bool plan_print_json(const struct plan *plan, FILE *file, struct error *err);
