/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.c - finds pg_dump, runs it, reads what it wrote.
 */
#include "cdc/migrate/schema/describe.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/migrate/schema/program.h"

#define ARCHIVE_BYTES_MAX ((size_t) 1 << 30) /* definitions only; a table has about a kilobyte */

enum {
    VERSION_BYTES_MAX = 4096,
    ENVIRONMENT_BYTES_MAX = 1 << 20,
    STATISTICS_MAJOR = 18, /* from here on it could write statistics */
};

/* ---- which pg_dump ---- */

/* "pg_dump (PostgreSQL) 18.6"; 0: it could not be run, or is something else. */
static int major_of(const struct describer *describer, const char *path, struct error *err) {
    struct buffer output AUTO(buffer_release);
    buffer_init(&output, VERSION_BYTES_MAX);
    const char *const words[] = {path, "--version", NULL};
    const struct program program = {.words = words, .stop = describer->stop};
    if (!program_run(&program, &output, err))
        return 0;
    const char *text = buffer_text(&output);
    const char *number = text != NULL ? strstr(text, ") ") : NULL;
    return number != NULL ? (int) strtol(number + 2, NULL, 10) : 0;
}

static void try_path(struct describer *describer, const char *path) {
    struct error ignored = {0};
    if (access(path, X_OK) != 0)
        return;
    const int major = major_of(describer, path, &ignored);
    if (major <= describer->major)
        return;
    describer->path = arena_copy(describer->arena, slice_of(path));
    describer->major = describer->path != NULL ? major : 0;
}

static void try_pattern(struct describer *describer, const char *pattern) {
    glob_t found = {0};
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            try_path(describer, found.gl_pathv[i]);
    globfree(&found);
}

static void try_search_path(struct describer *describer) {
    const char *path = getenv("PATH");
    char file[4096];
    while (path != NULL && *path != '\0') {
        const size_t length = strcspn(path, ":");
        if (length > 0 && path[0] == '/' &&
            snprintf(file, sizeof file, "%.*s/pg_dump", (int) length, path) < (int) sizeof file)
            try_path(describer, file);
        path += length + (path[length] == ':');
    }
}

static bool refuse_tool(const struct describer *describer, int major_min, struct error *err) {
    if (describer->path == NULL)
        error_set(err, ERROR_CONFIG, "no pg_dump was found, which describes the schema");
    else
        error_set(err, ERROR_CONFIG, "%s is of PostgreSQL %d, and one of the servers is of %d",
                  describer->path, describer->major, major_min);
    return error_remedy(
        err,
        "install the client programs of PostgreSQL %d or later (postgresql-client-%d), or name "
        "the path of its pg_dump: schema: {pg_dump: PATH}",
        major_min, major_min);
}

bool describer_find(struct describer *describer, const struct schema_config *config, int major_min,
                    struct error *err) {
    describer->path = config->pg_dump;
    describer->major = 0;
    if (config->pg_dump == NULL) {
        try_pattern(describer, "/usr/lib/postgresql/*/bin/pg_dump");
        try_pattern(describer, "/usr/pgsql-*/bin/pg_dump");
        if (describer->major < major_min)
            try_search_path(describer);
    } else {
        describer->major = major_of(describer, config->pg_dump, err);
        if (describer->major == 0)
            return error_wrap(err, "schema.pg_dump") ||
                   error_remedy(err, "name the path of a pg_dump of PostgreSQL %d or later", major_min);
    }
    return describer->major >= major_min ? true : refuse_tool(describer, major_min, err);
}

/* ---- its environment ---- */

struct environment {
    struct buffer texts; /* NAME=VALUE, each with its NUL */
    const char **words;
    size_t count;
};

static void environment_add(struct environment *environment, const char *name, const char *value) {
    buffer_append_text(&environment->texts, name);
    buffer_append_text(&environment->texts, "=");
    buffer_append(&environment->texts, value, strlen(value) + 1);
    environment->count++;
}

/* Ours, without what libpq would read, and with messages in English. */
static void environment_inherit(struct environment *environment) {
    extern char **environ;
    for (char **word = environ; *word != NULL; word++)
        if (strncmp(*word, "PG", 2) != 0 && strncmp(*word, "LC_", 3) != 0 && strncmp(*word, "LANG", 4) != 0) {
            buffer_append(&environment->texts, *word, strlen(*word) + 1);
            environment->count++;
        }
    environment_add(environment, "LC_ALL", "C");
}

/* Each parameter of a connection has a variable, except the password of a key. */
static bool environment_connect(struct environment *environment, const struct session *session,
                                const char *database, struct error *err) {
    PQconninfoOption *options = PQconninfo(session->conn);
    bool has_key_password = false;
    if (options == NULL)
        return error_no_memory(err);
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        const bool is_database = strcmp(option->keyword, "dbname") == 0;
        const char *value = is_database && database != NULL ? database : option->val;
        const bool is_set = value != NULL && value[0] != '\0';
        has_key_password = has_key_password || (is_set && strcmp(option->keyword, "sslpassword") == 0);
        if (is_set && option->envvar != NULL)
            environment_add(environment, option->envvar, value);
    }
    PQconninfoFree(options);
    if (!has_key_password)
        return true;
    error_set(err, ERROR_CONFIG, "%s: pg_dump cannot be given sslpassword without showing it to other users",
              session->peer);
    return error_remedy(err, "use a key that has no password");
}

static bool environment_build(struct environment *environment, struct arena *arena, struct error *err) {
    environment->words = arena_alloc_zero(arena, (environment->count + 1) * sizeof *environment->words);
    if (environment->words == NULL || !buffer_ok(&environment->texts))
        return error_no_memory(err);
    const char *text = environment->texts.data;
    for (size_t i = 0; i < environment->count; i++, text += strlen(text) + 1)
        environment->words[i] = text;
    return true;
}

/* ---- what it writes ---- */

/* All names are quoted, so that a word that is reserved in a later version only is a name there, too. */
static bool describer_run(const struct describer *describer, const struct environment *environment,
                          struct buffer *archive, struct error *err) {
    const char *const words[] = {describer->path,
                                 "--format=custom",
                                 "--section=pre-data",
                                 "--section=post-data",
                                 "--encoding=UTF8",
                                 "--quote-all-identifiers",
                                 "--exclude-schema=pgcdc",
                                 "--no-blobs",
                                 "--no-publications",
                                 "--no-subscriptions",
                                 "--no-security-labels",
                                 "--no-password",
                                 "--lock-wait-timeout=60000",
                                 describer->major >= STATISTICS_MAJOR ? "--no-statistics" : NULL,
                                 NULL};
    const struct program program = {
        .words = words, .environment = environment->words, .stop = describer->stop};
    return program_run(&program, archive, err);
}

/* Its messages are in English. Both servers have just answered us, so one that does not has gone away. */
static bool explain_dump(const struct session *session, struct error *err) {
    static const char *const GONE[] = {"connection to server", "terminating connection", "lock timeout"};
    for (size_t i = 0; i < sizeof GONE / sizeof *GONE; i++)
        if (strstr(err->text, GONE[i]) != NULL)
            err->kind = ERROR_RETRY;
    if (strstr(err->text, "permission denied") != NULL)
        error_remedy(err, "pg_dump reads and locks every table: grant pg_read_all_data to %s",
                     PQuser(session->conn));
    return error_wrap(err, "describing the %s", session->peer);
}

bool describer_read(const struct describer *describer, const struct session *session, const char *database,
                    struct toc *ret_toc, struct error *err) {
    struct environment environment = {0};
    struct buffer archive AUTO(buffer_release);
    buffer_init(&archive, ARCHIVE_BYTES_MAX);
    buffer_init(&environment.texts, ENVIRONMENT_BYTES_MAX);
    environment_inherit(&environment);
    bool is_read = environment_connect(&environment, session, database, err) &&
                   environment_build(&environment, describer->arena, err);
    if (is_read)
        is_read = (describer_run(describer, &environment, &archive, err) &&
                   toc_read(buffer_slice(&archive), describer->arena, ret_toc, err)) ||
                  explain_dump(session, err);
    explicit_bzero(environment.texts.data, environment.texts.size);
    buffer_release(&environment.texts);
    return is_read;
}
