/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_text.c - a plan for people, at a terminal.
 */
#include <inttypes.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/visible.h"
#include "cdc/migrate/plan/plan.h"

enum {
    TABLES_SHOWN_MAX = 10, /* the largest; --json has all */
    NAMES_SHOWN_MAX = 20,  /* of what does not move, of a class */
};

static void put_visible(FILE *file, const char *text) {
    visible_print(file, slice_of(text));
}

static void print_name(FILE *file, const struct inventory_object *object) {
    if (object->schema != NULL) {
        put_visible(file, object->schema);
        fputc('.', file);
    }
    put_visible(file, object->name);
}

static struct amount amount_of_rows(int64_t rows) {
    struct amount amount;
    if (rows < 0)
        return (struct amount){"?"};
    snprintf(amount.text, sizeof amount.text, "%" PRId64, rows);
    return amount;
}

static struct amount amount_of_bytes(int64_t bytes) {
    return bytes < 0 ? (struct amount){"?"} : amount_bytes((double) bytes);
}

static void print_servers(const struct plan *plan, FILE *file) {
    for (size_t i = 0; i < plan->server_count; i++) {
        const struct plan_server *server = &plan->servers[i];
        fprintf(file, "%s: PostgreSQL %s, database ", server->where, server->version);
        put_visible(file, server->database);
        if (i == 0 && plan->has_inventory && plan->inventory.database_bytes >= 0)
            fprintf(file, ", %s", amount_of_bytes(plan->inventory.database_bytes).text);
        fputc('\n', file);
    }
}

/* ">": there are tables whose rows are not known. */
static struct amount amount_of_sum(const struct inventory_class *class) {
    struct amount amount = {.text = {class->unknown_rows > 0 ? '?' : '\0'}};
    if (class->rows > 0)
        snprintf(amount.text, sizeof amount.text, "%s%" PRId64, class->unknown_rows == 0 ? "" : "> ",
                 class->rows);
    return amount;
}

/* All objects of a class share their way, except tables. */
static void print_class(const struct inventory_class *class, FILE *file) {
    if (class->count == 0)
        return;
    fprintf(file, "  %-24s %8zu %14s %9s  ", class->title, class->count, amount_of_sum(class).text,
            class->bytes > 0 ? amount_of_bytes(class->bytes).text : "");
    if (strcmp(class->name, "tables") != 0)
        fputs(how_text(class->objects[0].how), file);
    if (class->remark != NULL)
        fprintf(file, "; %s", class->remark);
    fputc('\n', file);
}

static void print_classes(const struct plan *plan, FILE *file) {
    fprintf(file, "\ninventory\n  %-24s %8s %14s %9s  %s\n", "CLASS", "COUNT", "ROWS, ABOUT", "SIZE",
            "HOW IT MOVES");
    for (size_t i = 0; i < plan->inventory.class_count; i++)
        print_class(&plan->inventory.classes[i], file);
}

/* The largest of those that move, and are smaller than last or follow it; NULL: none. */
static const struct inventory_object *next_largest(const struct inventory_class *tables,
                                                   const struct inventory_object *last) {
    const struct inventory_object *best = NULL;
    for (size_t i = 0; i < tables->count; i++) {
        const struct inventory_object *table = &tables->objects[i];
        const bool follows =
            last == NULL || table->bytes < last->bytes || (table->bytes == last->bytes && table > last);
        if (table->how == HOW_ROWS && follows && table->bytes >= 0 &&
            (best == NULL || table->bytes > best->bytes))
            best = table;
    }
    return best;
}

static void print_largest(const struct inventory_class *tables, FILE *file) {
    const struct inventory_object *table = next_largest(tables, NULL);
    if (table == NULL)
        return;
    fputs("\nthe largest tables that move\n", file);
    for (int i = 0; i < TABLES_SHOWN_MAX && table != NULL; i++, table = next_largest(tables, table)) {
        fprintf(file, "  %9s  %14s rows  indexes %9s  ", amount_of_bytes(table->bytes).text,
                amount_of_rows(table->rows).text, amount_of_bytes(table->index_bytes).text);
        print_name(file, table);
        fprintf(file, "%s%s\n", table->detail[0] != '\0' ? ", " : "", table->detail);
    }
}

static bool does_not_move(const struct inventory_object *object) {
    return object->how == HOW_STAYS || object->how == HOW_HAND;
}

static void print_unmoved(const struct inventory_class *class, FILE *file) {
    size_t count = 0;
    for (size_t i = 0; i < class->count; i++) {
        const struct inventory_object *object = &class->objects[i];
        if (!does_not_move(object) || count++ >= NAMES_SHOWN_MAX)
            continue;
        fprintf(file, "  %s, %s: ", class->title, how_text(object->how));
        print_name(file, object);
        if (object->detail[0] != '\0') {
            fputs(", ", file);
            put_visible(file, object->detail);
        }
        fputc('\n', file);
    }
    if (count > NAMES_SHOWN_MAX)
        fprintf(file, "  %s: and %zu more, which --json lists\n", class->title, count - NAMES_SHOWN_MAX);
}

static bool has_unmoved(const struct inventory *inventory) {
    for (size_t i = 0; i < inventory->class_count; i++)
        for (size_t j = 0; j < inventory->classes[i].count; j++)
            if (does_not_move(&inventory->classes[i].objects[j]))
                return true;
    return false;
}

static void print_steps(const struct plan *plan, FILE *file) {
    fputs("\norder of work\n", file);
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct plan_step *step = &plan->steps[i];
        fprintf(file, "  %zu. ", i + 1);
        put_visible(file, step->what);
        if (step->ms >= 0)
            fprintf(file, ": about %s", amount_duration(step->ms).text);
        fputc('\n', file);
        if (step->locks[0] != '\0')
            fprintf(file, "     locks: %s\n", step->locks);
    }
}

static void print_estimate(const struct plan *plan, FILE *file) {
    const struct plan_estimate *estimate = &plan->estimate;
    fprintf(file, "\nestimate, assuming %s/s for the copy and %s/s for indexes\n",
            amount_bytes((double) plan->assumptions.copy_bytes).text,
            amount_bytes((double) plan->assumptions.index_bytes).text);
    fprintf(file, "  copy %s, indexes %s, verify %s\n", amount_duration(estimate->copy_ms).text,
            amount_duration(estimate->index_ms).text, amount_duration(estimate->verify_ms).text);
    fprintf(file, "  disk at the target: %s, which is 1.5 times tables and indexes\n",
            amount_of_bytes(estimate->disk_bytes).text);
    if (estimate->wal_rate >= 0)
        fprintf(file, "  WAL that the source keeps: %s, at its average of %s/s\n",
                amount_of_bytes(estimate->wal_bytes).text, amount_of_bytes(estimate->wal_rate).text);
    else
        fputs("  WAL that the source keeps: unknown, this server does not say how much it writes\n", file);
}

static void print_inventory(const struct plan *plan, FILE *file) {
    print_classes(plan, file);
    print_largest(inventory_find(&plan->inventory, "tables"), file);
    if (has_unmoved(&plan->inventory)) {
        fputs("\nwhat pgcdc and the schema do not move\n", file);
        for (size_t i = 0; i < plan->inventory.class_count; i++)
            print_unmoved(&plan->inventory.classes[i], file);
    }
    print_estimate(plan, file);
    print_steps(plan, file);
}

void plan_print(const struct plan *plan, FILE *file) {
    print_servers(plan, file);
    if (plan->has_inventory)
        print_inventory(plan, file);
    fputs("\nfindings\n", file);
    findings_print(&plan->check->findings, plan->check->config->name, file);
}
