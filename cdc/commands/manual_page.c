/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manual_page.c - the manual pages pgcdc(1) and pgcdc.yaml(5), for scdoc.
 *
 * They are made from the commands' own tables and the configuration's tables of options; here is only what no
 * table has. A paragraph of a help text whose lines are indented or have columns keeps its lines.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/command.h"
#include "cdc/commands/help.h"

/* Of the state directory. A test compares the names with those that the program writes. */
static const struct {
    const char *name;
    const char *meaning;
} FILES[] = {
    {"NAME.checkpoint", "the position of each sink, written after the sink has made it durable. If it is "
                        "lost, run continues from the positions that the sinks themselves store"},
    {"NAME.control", "the socket, of mode 0600, on which a running engine takes requests of `pgcdc table`"},
    {"NAME.sock", "the socket, of mode 0600, for pgcdc pause, resume, reload and log-level"},
    {"NAME.sock.lock", "locked by the engine that listens there"},
    {"NAME.pause", "which sinks are paused, since when and by whom"},
    {"NAME.lock", "locked while an engine runs, and contains its process id"},
    {"NAME.activity", "what the engine has done, for pgcdc status"},
    {"NAME.failure", "the last error, until there is progress again, for pgcdc status, check and why"},
    {"NAME.published",
     "the tables that were published when the engine last looked, of a pipeline with a sink "
     "that appends"},
    {"NAME.SINK.columns", "which columns the rules of that sink's mapping are about"},
    {"NAME.SINK.skip", "the transaction that pgcdc skip leaves out for that sink"},
};

/* ---- scdoc's markup ---- */

/* Text of one paragraph: what is markup for scdoc is escaped, `code` becomes bold. */
static void put_text(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        const bool begins_line = i == 0 || text[i - 1] == '\n';
        if (strchr("\\*_#[|;", text[i]) != NULL || (begins_line && text[i] == '-'))
            putchar('\\');
        putchar(text[i] == '`' ? '*' : text[i]);
    }
}

static void put_bold(const char *text) {
    putchar('*');
    put_text(text, strlen(text));
    putchar('*');
}

/* Lines as they are. */
static void put_literal(const char *text, size_t size) {
    puts("```");
    for (size_t i = 0; i < size; i++)
        printf(text[i] == '\\' ? "\\%c" : "%c", text[i]);
    fputs("\n```", stdout);
}

static bool has_columns(const char *text, size_t size) {
    if (text[0] == ' ')
        return true;
    for (size_t i = 0; i + 1 < size; i++)
        if (text[i] == ' ' && text[i + 1] == ' ')
            return true;
    return false;
}

/* Paragraphs, with an empty line between them, as the help texts have them. */
static void put_paragraphs(const char *text) {
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        const size_t size = end != NULL ? (size_t) (end - text) : strlen(text);
        putchar('\n');
        if (has_columns(text, size))
            put_literal(text, size);
        else
            put_text(text, size);
        putchar('\n');
        text += size + (end != NULL ? 2 : 0);
    }
}

/* The text below a term: one paragraph, indented. */
static void put_meaning(const char *text) {
    putchar('\t');
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        put_text(text, (size_t) (end - text));
        fputs("\n\t", stdout);
    }
    put_text(text, strlen(text));
    putchar('\n');
}

static void put_term(const char *term, const char *meaning) {
    putchar('\n');
    put_bold(term);
    putchar('\n');
    put_meaning(meaning);
}

/* ---- pgcdc(1) ---- */

static void put_synopsis(void) {
    const struct command *command = NULL;
    puts("\n# SYNOPSIS\n");
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        const struct usage usage = command_usage(command);
        const size_t name = strlen(command->name);
        printf("%s*pgcdc %s*", i > 0 ? "++\n" : "", command->name);
        put_text(usage.text + name, strlen(usage.text) - name);
    }
    putchar('\n');
}

static void put_use(const struct command_use *use) {
    putchar('\n');
    put_bold(use->option->name);
    if (use->option->value != NULL) {
        putchar(' ');
        put_text(use->option->value, strlen(use->option->value));
    }
    putchar('\n');
    put_meaning(use->help != NULL ? use->help : use->option->expected);
}

static void put_commands(void) {
    const struct command *command = NULL;
    puts("\n# COMMANDS");
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        printf("\n## pgcdc %s\n\n", command->name);
        put_text(command->summary, strlen(command->summary));
        puts(".");
        put_paragraphs(command->help);
        for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++)
            put_use(use);
    }
    puts("\n# COMMON OPTIONS");
    put_term(
        "--log text|json",
        "the form of what is written to standard error, also before the configuration is read; accepted by "
        "every command");
    put_term(OPTION_VERBOSE.name, "log in detail; accepted by every command");
    put_term("--database NAME",
             "of a file with migrate.databases, the one with this name at the source; accepted by "
             "every command that reads a file");
    put_term("--help", "show the help of the command");
}

static void put_exit_codes(void) {
    puts("\n# EXIT STATUS");
    for (const struct exit_meaning *exit = EXIT_MEANINGS; exit->meaning != NULL; exit++) {
        char code[16];
        snprintf(code, sizeof code, "%d", exit->code);
        put_term(code, exit->meaning);
    }
}

static void put_files(void) {
    puts("\n# FILES\n\nThe directory that *state* names in the configuration file belongs to the user that "
         "runs "
         "pgcdc. NAME is the\npipeline's name.");
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++)
        put_term(FILES[i].name, FILES[i].meaning);
}

void manual_page_print_program(void) {
    printf("pgcdc(1) \"pgcdc " PGCDC_VERSION "\" \"pgcdc\"\n\n# NAME\n\npgcdc - %s\n", HELP_SUMMARY);
    put_synopsis();
    puts("\n# DESCRIPTION\n\nOne run of pgcdc replicates one source through one slot into one or more sinks: "
         "one pipeline, described "
         "by\none file, *pgcdc.yaml*(5). Results are printed to standard output, everything else to standard "
         "error.");
    put_commands();
    put_exit_codes();
    put_files();
    puts("\n# ENVIRONMENT\n\nlibpq reads its own variables, such as PGPASSFILE and PGSSLROOTCERT, for what a "
         "dsn does not set.");
    puts("\n# SEE ALSO\n\n*pgcdc.yaml*(5)");
}

/* ---- pgcdc.yaml(5) ---- */

static void put_keys(const char *prefix, const struct option_spec *specs) {
    for (; specs->key != NULL; specs++) {
        if (specs->kind == OPTION_SECTION || specs->kind == OPTION_SECTIONS)
            continue;
        printf("\n*%s", prefix);
        put_text(specs->key, strlen(specs->key));
        puts(specs->required ? "* (required)" : "*");
        putchar('\t');
        put_text(specs->help, strlen(specs->help));
        if (specs->reloads)
            fputs(HELP_RELOADS, stdout);
        if (specs->fallback != NULL) {
            fputs("; default: ", stdout);
            put_text(specs->fallback, strlen(specs->fallback));
        }
        putchar('\n');
    }
}

void manual_page_print_config(void) {
    const struct sink_ops *ops = NULL;
    puts("pgcdc.yaml(5) \"pgcdc " PGCDC_VERSION
         "\" \"pgcdc\"\n\n# NAME\n\npgcdc.yaml - the configuration file of "
         "pgcdc(1)\n\n# DESCRIPTION");
    put_paragraphs(HELP_CONFIGURATION);
    puts("\n# KEYS");
    put_keys("", PIPELINE_OPTIONS);
    put_keys("source.", SOURCE_OPTIONS);
    put_keys("copy.", COPY_OPTIONS);
    put_keys("verify.", VERIFY_OPTIONS);
    put_keys("sequences.", SEQUENCES_OPTIONS);
    put_keys("schema.", SCHEMA_OPTIONS);
    put_keys("cutover.", CUTOVER_OPTIONS);
    put_keys("migrate.", MIGRATE_OPTIONS);
    put_keys("buffer.", BUFFER_OPTIONS);
    put_keys("http.", HTTP_OPTIONS);
    put_keys("sinks[].", SINK_OPTIONS);
    put_keys("mapping[].", MAPPING_OPTIONS);
    put_keys("ddl[].", DDL_OPTIONS);
    for (size_t i = 0; (ops = sink_ops_at(i)) != NULL; i++) {
        if (ops->options->key == NULL)
            continue;
        printf("\n# KEYS OF A SINK OF TYPE %s\n\nEach change arrives %s.\n", ops->type,
               ops->stores_position ? "exactly once" : "at least once");
        put_keys("", ops->options);
    }
    puts("\n# SEE ALSO\n\n*pgcdc*(1)");
}
