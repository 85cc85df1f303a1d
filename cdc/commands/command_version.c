/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_version.c - pgcdc version.
 */
#include <stdio.h>

#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/commands/built.h"
#include "cdc/commands/commit.h"
#include "cdc/commands/libraries.h"

#ifdef PGCDC_FAULT_POINTS
#define FAULT_POINTS true
#else
#define FAULT_POINTS false
#endif

static void print_library(const struct library *library) {
    char running[LIBRARY_VERSION_MAX];
    if (library->built == NULL) {
        printf("without %s\n", library->name);
        return;
    }
    library->put_running(running);
    printf("%s %s", library->name, running);
    printf(strcmp(running, library->built) == 0 ? "\n" : ", built with %s\n", library->built);
}

static void print_text(void) {
    const struct library *library = NULL;
    printf("pgcdc %s, commit %s\n", PGCDC_VERSION, BUILT_COMMIT);
    printf("built as %s with compiler %s%s\n", BUILT_TYPE, __VERSION__,
           FAULT_POINTS ? ", with fault points" : "");
    for (size_t i = 0; (library = library_at(i)) != NULL; i++)
        print_library(library);
}

static void put_library(struct json_writer *json, const struct library *library) {
    char running[LIBRARY_VERSION_MAX];
    json_put_key(json, library->name);
    if (library->built == NULL) {
        yajl_gen_null(json->generator);
        return;
    }
    library->put_running(running);
    yajl_gen_map_open(json->generator);
    json_put_field(json, "built", library->built);
    json_put_field(json, "running", running);
    yajl_gen_map_close(json->generator);
}

static void put_options(struct json_writer *json) {
    json_put_key(json, "options");
    yajl_gen_map_open(json->generator);
    json_put_key(json, "http");
    yajl_gen_bool(json->generator, BUILT_MICROHTTPD != NULL);
    json_put_key(json, "fault_points");
    yajl_gen_bool(json->generator, FAULT_POINTS);
    json_put_field(json, "sanitize", BUILT_SANITIZE);
    yajl_gen_map_close(json->generator);
}

static void put_version_document(struct json_writer *json) {
    const struct library *library = NULL;
    json_writer_begin(json);
    yajl_gen_map_open(json->generator);
    json_put_field(json, "version", PGCDC_VERSION);
    json_put_field(json, "commit", BUILT_COMMIT);
    json_put_field(json, "build_type", BUILT_TYPE);
    json_put_field(json, "compiler", __VERSION__);
    put_options(json);
    json_put_key(json, "libraries");
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; (library = library_at(i)) != NULL; i++)
        put_library(json, library);
    yajl_gen_map_close(json->generator);
    yajl_gen_map_close(json->generator);
}

static enum exit_code print_json(void) {
    struct error err = {0};
    struct json_writer json AUTO(json_writer_release) = {0};
    if (json_writer_init(&json, &err)) {
        put_version_document(&json);
        if (json_writer_print(&json, stdout, &err))
            return EXIT_DONE;
    }
    log_command_failure("version", &err);
    return EXIT_FAILED;
}

static enum exit_code run(const struct command_line *line) {
    if (line->json)
        return print_json();
    print_text();
    return EXIT_DONE;
}

static const struct command_use USES[] = {
    {&OPTION_JSON_OUTPUT,
     "one object: version, commit, build_type, compiler, options, and libraries, each null or with built\n"
     "and running",
     false},
    {0},
};

const struct command command_version = {
    .name = "version",
    .uses = USES,
    .summary = "show the version of the program and of its libraries, and how it was built",
    .help = "Prints the version of pgcdc and the commit that it was built from, how it was built, and of\n"
            "each library the version that runs, and the one that it was built with if that is another.\n"
            "After a commit, -dirty means that files differed from it.",
    .run = run,
};
