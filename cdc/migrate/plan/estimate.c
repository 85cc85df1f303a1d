/* SPDX-License-Identifier: Apache-2.0 */
/*
 * estimate.c - how long, how much disk, how much WAL, and in which order; from sizes and stated assumptions.
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/migrate/plan/plan.h"

enum { DISK_PERCENT = 150 }; /* of the data: the target also writes WAL, and sorts for its indexes */

static void add_table(struct plan_estimate *estimate, const struct inventory_object *table) {
    estimate->table_count += strcmp(table->detail, "partition") != 0;
    estimate->rows += table->rows > 0 ? table->rows : 0;
    estimate->unknown_rows += table->rows < 0 && table->bytes > 0;
    estimate->bytes += table->bytes > 0 ? table->bytes : 0;
    estimate->index_bytes += table->index_bytes > 0 ? table->index_bytes : 0;
    if (table->bytes > estimate->largest_bytes)
        estimate->largest_bytes = table->bytes;
}

static int64_t duration_ms(int64_t bytes, uint64_t bytes_a_second) {
    return (int64_t) ((double) bytes * 1000 / (double) bytes_a_second);
}

void plan_estimate(struct plan *plan, int64_t wal_rate) {
    struct plan_estimate *estimate = &plan->estimate;
    const struct plan_assumptions *assumed = &plan->assumptions;
    const struct inventory_class *tables = inventory_find(&plan->inventory, "tables");
    *estimate = (struct plan_estimate){.wal_rate = wal_rate};
    for (size_t i = 0; i < tables->count; i++)
        if (tables->objects[i].how == HOW_ROWS)
            add_table(estimate, &tables->objects[i]);
    estimate->disk_bytes = (estimate->bytes + estimate->index_bytes) / 100 * DISK_PERCENT;
    estimate->copy_ms = duration_ms(estimate->bytes, assumed->copy_bytes);
    estimate->index_ms = duration_ms(estimate->index_bytes, assumed->index_bytes);
    estimate->verify_ms = duration_ms(estimate->bytes, assumed->copy_bytes);
    estimate->wal_bytes =
        wal_rate < 0
            ? COUNT_UNKNOWN
            : (int64_t) ((double) wal_rate * (double) (estimate->copy_ms + estimate->index_ms) / 1000);
}

static void add_step(struct plan *plan, const char *what, const char *locks, int64_t ms) {
    plan->steps[plan->step_count++] = (struct plan_step){.what = what, .locks = locks, .ms = ms};
}

static void add_preparation(struct plan *plan) {
    add_step(plan, "fix the problems below, and fix or accept the warnings",
             "source: those of the fixes; an alter table takes ACCESS EXCLUSIVE for a moment, or while it "
             "rewrites the table",
             COUNT_UNKNOWN);
    add_step(plan,
             plan_printf(
                 plan, "%s at the target%s, and the files of %s on its server",
                 amount_count(inventory_find(&plan->inventory, "roles")->count, "role").text,
                 plan->check->config->migrate.makes_roles ? ", which migrate makes where they are missing"
                                                          : " (create them, or set migrate.roles to create)",
                 amount_count(inventory_find(&plan->inventory, "extensions")->count, "extension").text),
             "", COUNT_UNKNOWN);
    add_step(plan,
             "pgcdc migrate makes there what the rows need of the schema, with its own pg_dump; the next "
             "steps are "
             "its, too",
             "source: ACCESS SHARE on every table while pg_dump reads them, so DDL waits", COUNT_UNKNOWN);
}

static void add_copy(struct plan *plan) {
    const struct plan_estimate *estimate = &plan->estimate;
    const struct amount wal = amount_bytes(estimate->wal_bytes > 0 ? (double) estimate->wal_bytes : 0);
    add_step(plan, "it creates the publication and the slot, which waits for open transactions that write",
             "source: SHARE UPDATE EXCLUSIVE on each table for a moment", COUNT_UNKNOWN);
    add_step(plan,
             plan_printf(plan, "it copies %s, %s, and streams the changes; the source keeps %s of WAL",
                         amount_count((uint64_t) estimate->table_count, "table").text,
                         amount_bytes((double) estimate->bytes).text,
                         estimate->wal_bytes < 0 ? "an unknown amount" : wal.text),
             "source: ACCESS SHARE on the tables that are being read", estimate->copy_ms);
    add_step(plan,
             plan_printf(plan, "it makes indexes, %s at the source, foreign keys and the rest, and analyzes",
                         amount_bytes((double) estimate->index_bytes).text),
             "target: SHARE on a table while its index is built; changes wait at the source until all are",
             estimate->index_ms);
}

void plan_order_steps(struct plan *plan) {
    add_preparation(plan);
    add_copy(plan);
    add_step(plan, "it compares both sides, and follows the source",
             "source: ACCESS SHARE on the tables that are being read", plan->estimate.verify_ms);
    add_step(
        plan,
        "pgcdc cutover moves the applications: it fences the source, applies the rest, compares both sides, "
        "arms the way back and runs cutover.on_flip; pgcdc report says that everything closes",
        "source: EXCLUSIVE on each table, so writes wait until the applications are at the target",
        plan->estimate.verify_ms);
    add_step(plan,
             "pgcdc cutover --close ends the way back; from then on neither side keeps WAL for the other", "",
             COUNT_UNKNOWN);
}
