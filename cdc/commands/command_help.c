/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_help.c - pgcdc help: all commands, one command, or the configuration file.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/commands/help.h"

const char HELP_SUMMARY[] = "replicates every committed change of a PostgreSQL database into its sinks";

const struct exit_meaning EXIT_MEANINGS[] = {
    {EXIT_DONE, "done"},
    {EXIT_FAILED, "failed"},
    {EXIT_USAGE, "usage or configuration error; check found a problem"},
    {EXIT_REFUSED, "refused: continuing would lose or repeat data"},
    {EXIT_DIFFERENT, "verify found a difference, or columns that it could not compare"},
    {EXIT_SHORT, "run was stopped before the end that --until names"},
    {EXIT_RUNNING, "another engine runs this pipeline"},
    {0},
};

const char HELP_CONFIGURATION[] =
    "One YAML file describes one pipeline:\n"
    "\n"
    "  name: shop\n"
    "  source:\n"
    "    dsn: host=db user=replicator dbname=shop\n"
    "    tables: [\"public.*\"]\n"
    "  state: /var/lib/pgcdc\n"
    "  sinks:\n"
    "    - name: warehouse\n"
    "      type: postgres\n"
    "      dsn: host=warehouse user=loader dbname=shop\n"
    "\n"
    "${VAR} in a value is replaced by the environment's value, $$ by one $. A relative\n"
    "path of state or password_file is relative to this file's folder.";

enum { LINE_WIDTH = 116 };

/* ---- the terminal ---- */

/* Markdown's marks are left out. Lines after the first are indented. */
static void print_wrapped(const char *text, int indent) {
    int column = indent;
    for (; *text != '\0'; text++) {
        if (*text == ' ' && column + 1 + (int) strcspn(text + 1, " ") > LINE_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (*text != '`') {
            putchar(*text);
            column++;
        }
    }
    putchar('\n');
}

static void print_option(const char *prefix, const struct option_spec *spec) {
    enum { WIDTH = 28 };
    char key[64];
    struct buffer help AUTO(buffer_release) = {.bytes_max = 4096};
    snprintf(key, sizeof key, "%s%s", prefix, spec->key);
    buffer_append_text(&help, spec->help);
    if (spec->reloads)
        buffer_append_text(&help, HELP_RELOADS);
    if (spec->fallback != NULL)
        buffer_printf(&help, "; default: %s", spec->fallback);
    printf("  %c %-*s ", spec->required ? '*' : ' ', WIDTH, key);
    print_wrapped(buffer_text(&help) != NULL ? buffer_text(&help) : spec->help, WIDTH + 5);
}

static void print_options(const char *prefix, const struct option_spec *specs) {
    for (; specs->key != NULL; specs++)
        if (specs->kind != OPTION_SECTION && specs->kind != OPTION_SECTIONS)
            print_option(prefix, specs);
}

static void print_configuration(void) {
    const struct sink_ops *ops = NULL;
    printf("%s\n\nkeys (* required):\n", HELP_CONFIGURATION);
    print_options("", PIPELINE_OPTIONS);
    print_options("source.", SOURCE_OPTIONS);
    print_options("copy.", COPY_OPTIONS);
    print_options("verify.", VERIFY_OPTIONS);
    print_options("sequences.", SEQUENCES_OPTIONS);
    print_options("schema.", SCHEMA_OPTIONS);
    print_options("cutover.", CUTOVER_OPTIONS);
    print_options("migrate.", MIGRATE_OPTIONS);
    print_options("buffer.", BUFFER_OPTIONS);
    print_options("http.", HTTP_OPTIONS);
    print_options("sinks[].", SINK_OPTIONS);
    print_options("mapping[].", MAPPING_OPTIONS);
    print_options("ddl[].", DDL_OPTIONS);
    for (size_t i = 0; (ops = sink_ops_at(i)) != NULL; i++) {
        if (ops->options->key == NULL)
            continue;
        printf("\nof a sink of type %s (%s):\n", ops->type,
               ops->stores_position ? "exactly once" : "at least once");
        print_options("", ops->options);
    }
}

/* The summary follows the usage; below it if the usage is long. */
static void print_line(const struct command *command) {
    enum { WIDTH = 38 };
    const struct usage usage = command_usage(command);
    if (strlen(usage.text) <= WIDTH)
        printf("  pgcdc %-*s %s\n", WIDTH, usage.text, command->summary);
    else
        printf("  pgcdc %s\n%*s%s\n", usage.text, WIDTH + 9, "", command->summary);
}

static void print_commands(void) {
    const struct command *command = NULL;
    printf("pgcdc - %s\n\n", HELP_SUMMARY);
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        print_line(command);
    printf("\n  --verbose, with any command, logs in detail; --log json writes JSON to standard error\n"
           "  --database NAME, with any command that reads a file with migrate.databases, takes one of them\n"
           "  pgcdc help COMMAND explains a command, pgcdc help config the configuration file\n\n"
           "exit codes:\n");
    for (const struct exit_meaning *exit = EXIT_MEANINGS; exit->meaning != NULL; exit++)
        printf("  %d  %s\n", exit->code, exit->meaning);
}

/* "--until caught-up|LSN", and its lines below. */
static void print_use(const struct command_use *use) {
    printf("%s%s%s\n", use->option->name, use->option->value != NULL ? " " : "",
           use->option->value != NULL ? use->option->value : "");
    for (const char *line = use->help; line != NULL;) {
        const char *end = strchr(line, '\n');
        printf("    %.*s\n", end != NULL ? (int) (end - line) : (int) strlen(line), line);
        line = end != NULL ? end + 1 : NULL;
    }
}

static void print_command(const struct command *command) {
    bool has_options = false;
    printf("pgcdc %s\n\n%s.\n\n%s\n", command_usage(command).text, command->summary, command->help);
    for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++) {
        if (use->help == NULL)
            continue;
        printf(has_options ? "" : "\n");
        has_options = true;
        print_use(use);
    }
}

/* ---- pages ---- */

/* A row of a table in Markdown. */
static void print_row(const char *prefix, const struct option_spec *spec) {
    printf("| `%s%s` | ", prefix, spec->key);
    for (const char *c = spec->help; *c != '\0'; c++)
        printf(*c == '|' ? "\\|" : "%c", *c);
    printf("%s | %s |\n", spec->reloads ? HELP_RELOADS : "",
           spec->required           ? "required"
           : spec->fallback != NULL ? spec->fallback
                                    : "");
}

static void print_rows(const char *prefix, const struct option_spec *specs) {
    for (; specs->key != NULL; specs++)
        if (specs->kind != OPTION_SECTION && specs->kind != OPTION_SECTIONS)
            print_row(prefix, specs);
}

static void begin_table(const char *name) {
    printf("<!-- keys of %s, as pgcdc help markdown prints them -->\n| key | meaning | default |\n"
           "|---|---|---|\n",
           name);
}

static void end_table(const char *name) {
    printf("<!-- end of the keys of %s -->\n", name);
}

/* The tables of cdc/manual and of the sinks' pages; a test compares them. */
static void print_markdown(void) {
    const struct sink_ops *ops = NULL;
    begin_table("the file");
    print_rows("", PIPELINE_OPTIONS);
    print_rows("source.", SOURCE_OPTIONS);
    print_rows("copy.", COPY_OPTIONS);
    print_rows("verify.", VERIFY_OPTIONS);
    print_rows("sequences.", SEQUENCES_OPTIONS);
    print_rows("schema.", SCHEMA_OPTIONS);
    print_rows("cutover.", CUTOVER_OPTIONS);
    print_rows("migrate.", MIGRATE_OPTIONS);
    print_rows("buffer.", BUFFER_OPTIONS);
    print_rows("http.", HTTP_OPTIONS);
    print_rows("sinks[].", SINK_OPTIONS);
    print_rows("mapping[].", MAPPING_OPTIONS);
    print_rows("ddl[].", DDL_OPTIONS);
    end_table("the file");
    for (size_t i = 0; (ops = sink_ops_at(i)) != NULL; i++) {
        if (ops->options->key == NULL)
            continue;
        begin_table(ops->type);
        print_rows("", ops->options);
        end_table(ops->type);
    }
}

/* ---- the command ---- */

static const struct {
    const char *name;
    void (*print)(void);
} TOPICS[] = {
    {"config", print_configuration},
    {"markdown", print_markdown},
    {"man", manual_page_print_program},
    {"man-config", manual_page_print_config},
};

static bool print_topic(const char *name) {
    for (size_t i = 0; i < sizeof TOPICS / sizeof TOPICS[0]; i++)
        if (strcmp(TOPICS[i].name, name) == 0) {
            TOPICS[i].print();
            return true;
        }
    return false;
}

static const struct command *command_help_find(const char *name) {
    const struct command *command = NULL;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

/* The commands that begin with a word. */
static bool print_group(const char *word) {
    size_t at = command_find_group(word);
    const struct command *command = NULL;
    if (at == COMMANDS_NONE)
        return false;
    for (bool is_first = true; (command = command_at(at)) != NULL; at++) {
        if (strncmp(command->name, word, strlen(word)) != 0 || command->name[strlen(word)] != ' ')
            continue;
        fputs(is_first ? "" : "\n", stdout);
        print_command(command);
        is_first = false;
    }
    return true;
}

static enum exit_code run(const struct command_line *line) {
    char name[64] = "";
    for (size_t i = 0; i < line->argument_count; i++)
        snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s", i > 0 ? " " : "",
                 line->arguments[i]);
    const struct command *command = command_help_find(name);
    if (line->argument_count == 0) {
        print_commands();
    } else if (command != NULL) {
        print_command(command);
    } else if (!print_group(name) && !print_topic(name)) {
        log_command(LOG_USAGE, "help", "unknown command %s; see: pgcdc help", name);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

const struct command command_help = {
    .name = "help",
    .argument = "[COMMAND...]",
    .summary = "this list, one command, or (help config) the configuration file",
    .help = "pgcdc help            the commands and the exit codes\n"
            "pgcdc help COMMAND    one command\n"
            "pgcdc help config     the configuration file, with the keys of each type of sink\n"
            "pgcdc help markdown   the same keys as tables for a page\n"
            "pgcdc help man        the manual page pgcdc(1), for scdoc; man-config: pgcdc.yaml(5)",
    .run = run,
};
