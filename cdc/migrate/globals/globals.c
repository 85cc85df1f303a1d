/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals.c - the connections, and the order: roles, then the database that one of them owns.
 */
#include "cdc/migrate/globals/globals.h"

#include <string.h>

#include "cdc/migrate/globals/globals_parts.h"
#include "cdc/migrate/steps/steps_table.h"
#include "cdc/pq/dsn_database.h"
#include "cdc/source/source.h"

#define ARENA_BYTES_MAX ((size_t) 256 << 20)

enum { BLOCK_BYTES = 65536, DSN_BYTES_MAX = 1 << 16 };

/* Where every server has one. */
static const char ANY_DATABASE[] = "postgres";

bool globals_are_wanted(const struct config *config) {
    return config->migrate.makes_roles || config->migrate.creates;
}

/* The sink's dsn as the file has it; one without a database would lead to one of the role's name. */
static bool server_dsn(struct globals *globals, const char **ret_dsn, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = DSN_BYTES_MAX};
    *ret_dsn = globals->config->server_dsn;
    if (dsn_names_database(*ret_dsn))
        return true;
    if (!dsn_replace_database(*ret_dsn, ANY_DATABASE, &text, err))
        return false;
    *ret_dsn = arena_copy(&globals->arena, buffer_slice(&text));
    explicit_bzero(text.data, text.size); /* it may contain a password */
    return *ret_dsn != NULL || error_no_memory(err);
}

static bool make_server(struct globals *globals, struct error *err) {
    const struct sink_config *former = &globals->sink->sink;
    struct sink_option *options =
        arena_alloc_zero(&globals->arena, (former->option_count + 1) * sizeof *options);
    if (options == NULL)
        return error_no_memory(err);
    globals->server = *globals->config;
    globals->server_sink = *globals->sink;
    if (globals->config->database == NULL)
        return true;
    globals->server.name = globals->config->server_pipeline;
    for (size_t i = 0; i < former->option_count; i++) {
        options[i] = former->options[i];
        if (strcmp(options[i].key, "dsn") == 0 && !server_dsn(globals, &options[i].value, err))
            return false;
    }
    globals->server_sink.sink.options = options;
    globals->server_sink.sink.pipeline = globals->server.name;
    return true;
}

bool globals_open(struct globals *globals, struct error *err) {
    arena_init(&globals->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    return make_server(globals, err) &&
           steps_open(&globals->steps, &globals->server, &globals->server_sink, globals->stop, err);
}

void globals_release(struct globals *globals) {
    session_close(&globals->source);
    steps_close(&globals->steps);
    arena_release(&globals->arena);
}

static bool make_all(struct globals *globals, struct error *err) {
    const struct migrate_config *migrate = &globals->config->migrate;
    return globals_open(globals, err) &&
           source_open(&globals->source, &globals->config->source, globals->stop, err) &&
           steps_table_create(&globals->steps, err) &&
           (!migrate->makes_roles || globals_make_roles(globals, err)) &&
           (!migrate->creates || globals_make_database(globals, err));
}

bool globals_make(const struct config *config, const struct config_sink *sink, const atomic_bool *stop,
                  struct error *err) {
    struct globals globals = {.config = config, .sink = sink, .stop = stop};
    if (!globals_are_wanted(config))
        return true;
    const bool is_made = make_all(&globals, err);
    globals_release(&globals);
    return is_made;
}

static bool forget_rows(struct globals *globals, struct error *err) {
    static const char DATABASE[] = "delete from pgcdc.migration where pipeline = $1 and step = 'globals' and"
                                   " object = 'database ' || $2";
    static const char ROLES[] =
        "delete from pgcdc.migration where pipeline = $1 and step = 'globals' and not exists"
        " (select from pgcdc.migration where pipeline = $1 and object like 'database %')";
    const char *const values[] = {globals->server.name, globals->config->database->target};
    return session_query(&globals->steps.session, DATABASE, 2, values, NULL, NULL, err) &&
           session_query(&globals->steps.session, ROLES, 1, values, NULL, NULL, err) &&
           steps_table_drop_if_empty(&globals->steps, err);
}

bool globals_forget(const struct config *config, const struct config_sink *sink, const atomic_bool *stop,
                    struct error *err) {
    struct globals globals = {.config = config, .sink = sink, .stop = stop};
    if (config->database == NULL || config->reverse_of != NULL || !globals_are_wanted(config))
        return true; /* there are none, or they are in the target's own table */
    const bool is_gone = globals_open(&globals, err) && (!globals.steps.exists || forget_rows(&globals, err));
    globals_release(&globals);
    return is_gone;
}
