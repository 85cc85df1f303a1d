/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_ddl.c - pgcdc ddl install, remove and status: event triggers at the source that tell the columns of
 * tables in the stream of changes.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/source/ddl_triggers.h"
#include "cdc/source/source.h"

#define SQL_BYTES_MAX (64u << 10)
#define INSUFFICIENT_PRIVILEGE "42501"

static enum exit_code end_ddl(const char *command, bool done, const struct error *err) {
    if (done)
        return EXIT_DONE;
    fflush(stdout);
    log_command_failure(command, err);
    return err->kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(err);
}

static bool open_ddl_source(const struct command_line *line, struct session *session, struct error *err) {
    if (line->config->source.archive == NULL)
        return source_open(session, &line->config->source, line->stop, err) &&
               source_check_version(session, err);
    error_set(err, ERROR_CONFIG, "the pipeline reads archive %s, which has no event triggers",
              line->config->source.archive);
    return error_remedy(err, "give this command a configuration whose source is the database");
}

/* command: with --print it prints the statements. */
static bool run_statements(struct session *session, const char *sql, const char *command, struct error *err) {
    if (session_is_standby(session)) {
        error_set(err, ERROR_CONFIG, "the source is a standby, where nothing can be changed");
        return error_remedy(err, "run what `pgcdc %s --print` prints at its primary", command);
    }
    if (session_execute(session, sql, err))
        return true;
    if (strcmp(err->sqlstate, INSUFFICIENT_PRIVILEGE) == 0)
        error_remedy(err,
                     "event triggers are a superuser's, or of the role that a managed service gives to its "
                     "administrators: let it run what `pgcdc %s --print` prints, with psql",
                     command);
    return error_wrap(err, "source: event triggers for changes of tables");
}

/* ---- install ---- */

static bool install_triggers(const struct command_line *line, struct session *session, struct error *err) {
    static const char ROLE[] = "select current_user";
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *role AUTO_PGRESULT = NULL;
    if (!open_ddl_source(line, session, err) ||
        !session_query(session, ROLE, 0, NULL,
                       &(const struct result_shape){"the query for the role", 1, 1, 1, 0}, &role, err))
        return false;
    ddl_triggers_append_install(&sql, PQgetvalue(role, 0, 0));
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (line->prints_sql) {
        fputs(sql.data, stdout);
        return true;
    }
    if (!run_statements(session, sql.data, "ddl install", err))
        return false;
    printf("installed: a running engine uses them from its next start on\n");
    return true;
}

static enum exit_code run_install(const struct command_line *line) {
    struct session session = {0};
    struct error err = {0};
    const bool done = install_triggers(line, &session, &err);
    session_close(&session);
    return end_ddl("ddl install", done, &err);
}

/* ---- remove ---- */

static bool remove_triggers(const struct command_line *line, struct session *session, struct error *err) {
    if (line->prints_sql) {
        fputs(DDL_TRIGGERS_REMOVE, stdout);
        return true;
    }
    if (!open_ddl_source(line, session, err) ||
        !run_statements(session, DDL_TRIGGERS_REMOVE, "ddl remove", err))
        return false;
    printf("removed: changes of columns are seen in the source's catalog\n");
    return true;
}

static enum exit_code run_remove(const struct command_line *line) {
    struct session session = {0};
    struct error err = {0};
    const bool done = remove_triggers(line, &session, &err);
    session_close(&session);
    return end_ddl("ddl remove", done, &err);
}

/* ---- status ---- */

static const struct {
    const char *word;
    const char *text;
} STATES[] = {
    [DDL_TRIGGERS_NONE] = {"none", "not installed: changes of columns are seen in the source's catalog"},
    [DDL_TRIGGERS_OFF] =
        {"off",
         "not complete, of another version, or switched off, so they are not used: `pgcdc ddl install` puts "
         "that right"},
    [DDL_TRIGGERS_DENIED] = {"denied", "installed, but this role may not read pgcdc.ddl_key, so they are not "
                                       "used: `pgcdc ddl install --print` has the grants"},
    [DDL_TRIGGERS_ON] = {"on", "installed: changes of columns are told in the stream"},
};

static bool print_ddl_json(const struct command_line *line, enum ddl_triggers_state state,
                           struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    json_put_field(&json, "pipeline", line->config->name);
    json_put_field(&json, "triggers", STATES[state].word);
    yajl_gen_map_close(json.generator);
    return json_writer_print(&json, stdout, err);
}

static bool show_triggers(const struct command_line *line, struct session *session, struct error *err) {
    struct ddl_triggers triggers;
    if (!open_ddl_source(line, session, err) || !ddl_triggers_read(session, &triggers, err))
        return false;
    if (line->json)
        return print_ddl_json(line, triggers.state, err);
    printf("%s\n", STATES[triggers.state].text);
    return true;
}

static enum exit_code run_state(const struct command_line *line) {
    struct session session = {0};
    struct error err = {0};
    const bool done = show_triggers(line, &session, &err);
    session_close(&session);
    return end_ddl("ddl status", done, &err);
}

/* ---- the commands ---- */

static const struct command_use CHANGE_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_PRINT, "only print the statements, for psql", false},
    {0},
};

const struct command command_ddl_install = {
    .name = "ddl install",
    .uses = CHANGE_USES,
    .summary = "let the source tell the columns of each changed table in the stream",
    .help =
        "Puts two event triggers, pgcdc_ddl_command and pgcdc_ddl_drop, and into the schema pgcdc their\n"
        "function and a key into the source's database. After each change of a table's columns they write\n"
        "the columns into the WAL, in the same transaction. So a pipeline that is behind knows them as they\n"
        "were at each place, where the catalog shows only what they are now.\n"
        "\n"
        "This needs a superuser, or the role that a managed service gives to its administrators. If the\n"
        "role of source.dsn is none, let one run what --print prints: its connection decides which "
        "database.\n"
        "It also grants the role of source.dsn the right to read the key.\n"
        "\n"
        "It can be run again. What was changed before is not told later.\n",
    .many = MANY_EACH,
    .run = run_install,
};

const struct command command_ddl_remove = {
    .name = "ddl remove",
    .uses = CHANGE_USES,
    .summary = "take away what `ddl install` has put into the source",
    .help =
        "Drops the event triggers, their function and key, takes the right to the schema pgcdc back that\n"
        "was granted, and drops the schema if they made it and it is empty. Needs the rights of their\n"
        "owner. An engine may run.\n",
    .many = MANY_EACH,
    .run = run_remove,
};

static const struct command_use STATE_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_JSON_OUTPUT, "one object: pipeline, triggers (none, off, denied, on)", false},
    {0},
};

const struct command command_ddl_status = {
    .name = "ddl status",
    .uses = STATE_USES,
    .summary = "whether the source tells the columns of each changed table",
    .help =
        "Says whether the triggers of `ddl install` are there, are switched on, and can be used by the role\n"
        "of source.dsn.\n",
    .many = MANY_EACH,
    .run = run_state,
};
