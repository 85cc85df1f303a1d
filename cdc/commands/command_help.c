/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_help.c - pgcdc help: the commands, one command, or the configuration file.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/command.h"

static const char EXIT_CODES[] =
    "exit codes:\n"
    "  0  done\n"
    "  1  failed\n"
    "  2  the command line or the configuration needs a hand; check found a problem\n"
    "  3  refused: going on would lose or repeat data\n"
    "  4  verify found a difference, or columns that it could not compare\n"
    "  5  run was stopped before the end that --until names\n"
    "  6  another engine runs this pipeline\n";

static const char CONFIGURATION[] =
    "One YAML file describes one pipeline:\n"
    "\n"
    "  name: shop                   # 1 to 50 of a-z, 0-9 and _; names slot and publication\n"
    "  source:\n"
    "    dsn: host=db user=replicator dbname=shop\n"
    "    password_file: FILE        # its first line is the password; or PGPASSWORD, ~/.pgpass\n"
    "    slot: shop                 # default: name\n"
    "    publication: shop          # it has to be there; default: name, created by the first run\n"
    "    publications: [a, b]       # or several, together\n"
    "    tables: [\"public.*\"]       # what is replicated: schema.table, * for any characters, a name in quotes\n"
    "                               # as it is: '\"a.b\".\"c d\"'; default: all that is published\n"
    "    origin: any                # any, or none: not what replication brought there (PostgreSQL 16)\n"
    "    snapshot: initial          # initial: first copy the rows that are there; or never\n"
    "    decoding_work_mem: 256MB   # of the source's server, for this pipeline\n"
    "  state: /var/lib/pgcdc        # a directory: the checkpoint and the lock\n"
    "  sinks:                       # one or more\n"
    "    - name: warehouse\n"
    "      type: TYPE               # and the keys of that type, below\n"
    "\n"
    "${VAR} in a value is replaced by the environment's, $$ by one $. A relative path of state or password_file is relative\n"
    "to this file's folder.\n"
    "\n"
    "types of sink and their keys (* required):\n";

/* The summary behind the usage, or under one that is long. */
static void print_command(const struct command *command) {
    enum { WIDTH = 38 };
    if (strlen(command->usage) <= WIDTH)
        printf("  pgcdc %-*s %s\n", WIDTH, command->usage, command->summary);
    else
        printf("  pgcdc %s\n%*s%s\n", command->usage, WIDTH + 9, "", command->summary);
}

static void print_commands(void) {
    const struct command *command = NULL;
    printf("pgcdc - every committed change of a PostgreSQL database, exactly once, into its sinks\n\n");
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        print_command(command);
    printf("\n  --verbose, with any command, logs in detail\n"
           "  pgcdc help COMMAND explains a command, pgcdc help config the configuration file\n\n%s",
           EXIT_CODES);
}

/* The text behind a key, its further lines under the first. */
static void print_wrapped(const char *text) {
    enum { INDENT = 23, WIDTH = 90 };
    while (strlen(text) > WIDTH) {
        int length = WIDTH;
        while (length > 0 && text[length] != ' ')
            length--;
        if (length == 0)
            break;
        printf("%.*s\n%*s", length, text, INDENT, "");
        text += length + 1;
    }
    printf("%s\n", text);
}

static void print_options(const struct sink_ops *ops) {
    printf("\n  %s (%s)\n", ops->type, ops->stores_position ? "exactly once" : "at least once");
    for (const struct option_spec *spec = ops->options; spec->key != NULL; spec++) {
        printf("    %c %-16s ", spec->required ? '*' : ' ', spec->key);
        print_wrapped(spec->help != NULL ? spec->help : "");
    }
}

static void print_configuration(void) {
    const struct sink_ops *ops = NULL;
    fputs(CONFIGURATION, stdout);
    for (size_t i = 0; (ops = sink_ops_at(i)) != NULL; i++)
        print_options(ops);
}

static enum exit_code run(const struct command_line *line) {
    const struct command *command = line->argument != NULL ? command_find(line->argument) : NULL;
    if (line->argument == NULL) {
        print_commands();
    } else if (command != NULL) {
        printf("pgcdc %s\n\n%s.\n\n%s\n", command->usage, command->summary, command->help);
    } else if (strcmp(line->argument, "config") == 0) {
        print_configuration();
    } else {
        fprintf(stderr, "pgcdc help: unknown command %s; see: pgcdc help\n", line->argument);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

const struct command command_help = {
    .name = "help",
    .usage = "help [COMMAND]",
    .summary = "this list, a command, or (help config) the configuration file",
    .help = "pgcdc help            the commands and the exit codes\n"
            "pgcdc help COMMAND    one command\n"
            "pgcdc help config     the configuration file and what each type of sink takes",
    .run = run,
};
