/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_json.c - a plan as one line of JSON, with every object.
 */
#include "cdc/base/json_writer.h"
#include "cdc/migrate/plan/plan.h"

static void put_optional(struct json_writer *json, const char *key, const char *text) {
    if (text != NULL)
        json_put_field(json, key, text);
    else {
        json_put_key(json, key);
        yajl_gen_null(json->generator);
    }
}

static void put_object(struct json_writer *json, const struct inventory_object *object) {
    yajl_gen_map_open(json->generator);
    put_optional(json, "schema", object->schema);
    json_put_field(json, "name", object->name);
    put_optional(json, "owner", object->owner);
    json_put_field(json, "detail", object->detail);
    json_put_number(json, "rows", object->rows);
    json_put_number(json, "bytes", object->bytes);
    json_put_number(json, "index_bytes", object->index_bytes);
    json_put_field(json, "moves", how_name(object->how));
    yajl_gen_map_close(json->generator);
}

static void put_class(struct json_writer *json, const struct inventory_class *class) {
    json_put_key(json, class->name);
    yajl_gen_map_open(json->generator);
    json_put_number(json, "count", (int64_t) class->count);
    json_put_number(json, "rows", class->rows);
    json_put_number(json, "unknown_rows", class->unknown_rows);
    json_put_number(json, "bytes", class->bytes);
    json_put_number(json, "index_bytes", class->index_bytes);
    json_put_key(json, "objects");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < class->count; i++)
        put_object(json, &class->objects[i]);
    yajl_gen_array_close(json->generator);
    yajl_gen_map_close(json->generator);
}

void plan_put_servers(const struct plan *plan, struct json_writer *json) {
    json_put_key(json, "servers");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < plan->server_count; i++) {
        yajl_gen_map_open(json->generator);
        json_put_field(json, "where", plan->servers[i].where);
        json_put_field(json, "version", plan->servers[i].version);
        json_put_field(json, "database", plan->servers[i].database);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_estimate(struct json_writer *json, const struct plan *plan) {
    const struct plan_estimate *estimate = &plan->estimate;
    json_put_key(json, "estimate");
    yajl_gen_map_open(json->generator);
    json_put_number(json, "assumed_copy_bytes_per_s", (int64_t) plan->assumptions.copy_bytes);
    json_put_number(json, "assumed_index_bytes_per_s", (int64_t) plan->assumptions.index_bytes);
    json_put_number(json, "tables", estimate->table_count);
    json_put_number(json, "rows", estimate->rows);
    json_put_number(json, "unknown_rows", estimate->unknown_rows);
    json_put_number(json, "bytes", estimate->bytes);
    json_put_number(json, "index_bytes", estimate->index_bytes);
    json_put_number(json, "disk_bytes", estimate->disk_bytes);
    json_put_number(json, "wal_bytes_per_s", estimate->wal_rate);
    json_put_number(json, "wal_bytes", estimate->wal_bytes);
    json_put_number(json, "copy_ms", estimate->copy_ms);
    json_put_number(json, "index_ms", estimate->index_ms);
    json_put_number(json, "verify_ms", estimate->verify_ms);
    yajl_gen_map_close(json->generator);
}

static void put_steps(struct json_writer *json, const struct plan *plan) {
    json_put_key(json, "steps");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < plan->step_count; i++) {
        yajl_gen_map_open(json->generator);
        json_put_field(json, "what", plan->steps[i].what);
        json_put_field(json, "locks", plan->steps[i].locks);
        json_put_number(json, "ms", plan->steps[i].ms);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_inventory(struct json_writer *json, const struct plan *plan) {
    json_put_number(json, "database_bytes", plan->inventory.database_bytes);
    json_put_key(json, "inventory");
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < plan->inventory.class_count; i++)
        put_class(json, &plan->inventory.classes[i]);
    yajl_gen_map_close(json->generator);
    put_estimate(json, plan);
    put_steps(json, plan);
}

bool plan_print_json(const struct plan *plan, FILE *file, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    findings_put_json(&json, &plan->check->findings, plan->check->config->name);
    plan_put_servers(plan, &json);
    if (plan->has_inventory)
        put_inventory(&json, plan);
    yajl_gen_map_close(json.generator);
    return json_writer_print(&json, file, err);
}
