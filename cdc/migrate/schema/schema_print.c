/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_print.c - a comparison of schemas, for people and for programs.
 */
#include "cdc/base/amount.h"
#include "cdc/base/visible.h"
#include "cdc/migrate/schema/schema.h"
#include "cdc/pq/identifier.h"

static const char *const FAULT_NAMES[] = {
    [SCHEMA_MISSING] = "missing", [SCHEMA_DIFFERENT] = "different", [SCHEMA_EXTRA] = "extra"};

static void print_name(const struct schema_difference *difference, FILE *file) {
    visible_print(file, slice_of(difference->schema));
    fputs(difference->schema[0] != '\0' ? "." : "", file);
    visible_print(file, slice_of(difference->name));
}

void schema_print(const struct schema_comparison *comparison, FILE *file) {
    for (size_t i = 0; i < comparison->count; i++) {
        const struct schema_difference *difference = &comparison->differences[i];
        fprintf(file, "%-9s  %s ", FAULT_NAMES[difference->fault], difference->kind);
        print_name(difference, file);
        fputc('\n', file);
    }
    fprintf(file, "%s: %zu missing, %zu different, %zu extra\n",
            amount_count(comparison->objects, "object").text, comparison->counts[SCHEMA_MISSING],
            comparison->counts[SCHEMA_DIFFERENT], comparison->counts[SCHEMA_EXTRA]);
}

void schema_put(const struct schema_comparison *comparison, struct json_writer *json) {
    json_put_number(json, "objects", (int64_t) comparison->objects);
    for (enum schema_fault fault = SCHEMA_MISSING; fault <= SCHEMA_EXTRA; fault++)
        json_put_number(json, FAULT_NAMES[fault], (int64_t) comparison->counts[fault]);
    json_put_key(json, "differences");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < comparison->count; i++) {
        const struct schema_difference *difference = &comparison->differences[i];
        yajl_gen_map_open(json->generator);
        json_put_field(json, "fault", FAULT_NAMES[difference->fault]);
        json_put_field(json, "kind", difference->kind);
        json_put_field(json, "schema", difference->schema);
        json_put_field(json, "name", difference->name);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}
