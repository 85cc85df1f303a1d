/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_admin.c - functions for commands, on a handle that was never opened.
 */
#include "sinks/mapping/mapped_parts.h"

static bool mapped_look(struct sink *sink, struct sink_view *ret_view, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return inner->ops->admin->look(inner, ret_view, err);
}

static bool mapped_drop(struct sink *sink, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    return inner->ops->admin->drop(inner, err);
}

static bool mapped_find_held(struct sink *sink, const struct table *tables, size_t count,
                             struct sink_held *ret_held, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct mapped_tables mapped AUTO(mapped_tables_release);
    mapped_tables_init(&mapped);
    return mapped_tables_make(&mapped, sink->config->mapping, sink->config->name, tables, count, NULL, err) &&
           inner->ops->admin->find_held(inner, mapped.tables, count, ret_held, err);
}

/* ---- check ---- */

/* The caller's functions, for tables with the sink's names. */
struct mapped_check {
    const struct sink_check *check;
    const struct mapped_tables *tables;
};

static void check_add(void *context, enum sink_severity severity, const char *code, const char *format,
                      va_list values) {
    const struct sink_check *check = ((const struct mapped_check *) context)->check;
    check->ops->add(check->context, severity, code, format, values);
}

static void check_fix(void *context, const char *format, va_list values) {
    const struct sink_check *check = ((const struct mapped_check *) context)->check;
    check->ops->fix(check->context, format, values);
}

static void check_object(void *context, const char *object) {
    const struct sink_check *check = ((const struct mapped_check *) context)->check;
    check->ops->object(check->context, object);
}

static void check_gap(void *context, const struct table *table, const char *column) {
    sink_check_gap(((const struct mapped_check *) context)->check, table, column);
}

static void check_long_copy(void *context, const struct table *table, const char *reason) {
    const struct mapped_check *mapped = context;
    const size_t i = mapped_tables_find(mapped->tables, table->oid);
    mapped->check->ops->long_copy(mapped->check->context, &mapped->tables->sources[i], reason);
}

static bool check_order(void *context, const struct table **ret_tables, struct error *err) {
    const struct mapped_check *mapped = context;
    const struct table *sources = NULL;
    struct table *tables = arena_alloc(mapped->check->arena, (mapped->tables->count + 1) * sizeof *tables);
    if (tables == NULL)
        return error_no_memory(err);
    if (!mapped->check->ops->order(mapped->check->context, &sources, err))
        return false;
    for (size_t i = 0; i < mapped->tables->count; i++)
        tables[i] = mapped->tables->tables[mapped_tables_find(mapped->tables, sources[i].oid)];
    *ret_tables = tables;
    return true;
}

static const struct sink_check_ops CHECK = {
    .add = check_add,
    .fix = check_fix,
    .object = check_object,
    .gap = check_gap,
    .long_copy = check_long_copy,
    .order = check_order,
};

static bool report(const struct sink_check *check, const struct error *err) {
    if (err->kind != ERROR_CONFIG)
        return false;
    sink_check_add(check, SINK_PROBLEM, "mapping", "%s", err->text);
    if (err->remedy[0] != '\0')
        sink_check_fix(check, "%s", err->remedy);
    return true;
}

/* A server that cannot be reached is another finding; the rest is checked without it. */
static bool make_checked(const struct sink_config *config, const struct sink_check *check,
                         struct evaluator *evaluator, struct mapped_tables *tables, struct error *err) {
    if (mapped_tables_make(tables, config->mapping, config->name, check->tables, check->table_count,
                           evaluator, err))
        return true;
    const bool is_unreachable =
        evaluator->session.conn == NULL && (err->kind != ERROR_CONFIG || err->sqlstate[0] != '\0');
    return is_unreachable && mapped_tables_make(tables, config->mapping, config->name, check->tables,
                                                check->table_count, NULL, err);
}

static bool mapped_check_all(struct sink *sink, const struct sink_check *check, struct error *err) {
    struct sink *inner = mapped_inner(sink);
    struct mapped_tables tables AUTO(mapped_tables_release);
    struct mapped_check context = {.check = check, .tables = &tables};
    struct sink_check mapped = *check;
    struct evaluator evaluator AUTO(evaluator_close); /* the tables have its types */
    evaluator_init(&evaluator, sink->config, sink->stop);
    mapped_tables_init(&tables);
    if (!make_checked(sink->config, check, &evaluator, &tables, err))
        return report(check, err);
    mapped.tables = tables.tables;
    mapped.ops = &CHECK;
    mapped.context = &context;
    return inner->ops->admin->check(inner, &mapped, err);
}

/* ---- the operations ---- */

/* compare gets the rules with the configuration. */
const struct sink_admin_ops *mapped_admin_ops(const struct sink_admin_ops *admin, struct arena *arena) {
    struct sink_admin_ops *mapped = arena_alloc(arena, sizeof *mapped);
    if (mapped == NULL)
        return NULL;
    *mapped = (struct sink_admin_ops){
        .look = admin->look != NULL ? mapped_look : NULL,
        .check = admin->check != NULL ? mapped_check_all : NULL,
        .drop = admin->drop != NULL ? mapped_drop : NULL,
        .find_held = admin->find_held != NULL ? mapped_find_held : NULL,
        .target = admin->target,
        .compare = admin->compare,
        .dead = admin->dead,
    };
    return mapped;
}
