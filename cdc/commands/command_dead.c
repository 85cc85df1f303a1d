/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_dead.c - pgcdc dead list, retry and skip: changes that did not fit a sink, beside a running engine.
 *
 * The engine and these commands hold the same lock at the target while they change letters, so no engine is
 * asked and none must stop.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/base/visible.h"
#include "cdc/command.h"
#include "cdc/commands/one_sink.h"
#include "cdc/engine/state_lock.h"
#include "sinks/change_json.h"
#include "sinks/dead.h"

struct dead_command {
    const struct command_line *line;
    const struct config_sink *config;
    const struct sink_dead_ops *ops;
    struct sink *sink;
    struct json_writer json; /* of a line; of a row within it */
    struct json_writer row;
    uint64_t failed, waiting;
};

static void dead_command_release(struct dead_command *command) {
    sink_free(command->sink);
    json_writer_release(&command->json);
    json_writer_release(&command->row);
}

/* Letters have the names and values of the sink, so its handle is the one behind a mapping. */
static bool open_sink(struct dead_command *command, const struct config_sink *config, struct error *err) {
    const struct sink_ops *ops = config->sink.mapped != NULL ? config->sink.mapped : config->ops;
    command->config = config;
    command->ops = sink_admin(ops, dead);
    if (command->ops == NULL)
        return error_set(err, ERROR_CONFIG, "sink %s is of type %s, which keeps no dead letters",
                         config->sink.name, ops->type);
    sink_free(command->sink);
    command->sink = sink_new(ops, &config->sink, command->line->stop);
    return command->sink != NULL ? true : error_no_memory(err);
}

/* A sink with one writer has the engine's producer, which the command would take away. */
static bool refuse_running(const struct dead_command *command, struct error *err) {
    const struct config *config = command->line->config;
    if (!sink_is_relayed(command->config->ops) || state_lock_holder(config->state, config->name) == 0)
        return true;
    error_set(err, ERROR_REFUSE, "an engine of pipeline %s is running, and sink %s has one writer",
              config->name, command->config->sink.name);
    return error_remedy(err, "stop the engine, run the command, and start the engine again");
}

static bool open_one_sink(struct dead_command *command, struct error *err) {
    const struct config_sink *config = NULL;
    return one_sink_find(command->line, &config, err) && open_sink(command, config, err);
}

static bool is_number(const char *text) {
    return text[0] != '\0' && strlen(text) <= 18 && text[strspn(text, "0123456789")] == '\0';
}

static struct dead_wanted wanted_of(const struct command_line *line) {
    return (struct dead_wanted){.table = line->table_count > 0 ? line->tables[0] : NULL,
                                .id = line->argument,
                                .with_values = line->shows_values};
}

static enum exit_code refuse_usage(const char *name, const char *text) {
    log_command(LOG_USAGE, name, "%s", text);
    return EXIT_USAGE;
}

static enum exit_code end_dead(const char *name, bool done, const struct error *err) {
    if (done)
        return EXIT_DONE;
    log_command_failure(name, err);
    return err->kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(err);
}

/* The user of this machine who runs the command. */
static void write_user(char *text, size_t size) {
    const struct passwd *user = getpwuid(geteuid());
    char host[128] = "";
    gethostname(host, sizeof host - 1);
    if (user != NULL)
        snprintf(text, size, "%s@%s", user->pw_name, host);
    else
        snprintf(text, size, "%u@%s", (unsigned) geteuid(), host);
}

/* ---- list ---- */

static const char *sqlstate_or_null(const char *text) {
    return text[0] != '\0' ? text : NULL;
}

static void put_optional(struct json_writer *json, const char *key, const char *text) {
    json_put_key(json, key);
    if (sqlstate_or_null(text) == NULL)
        yajl_gen_null(json->generator);
    else
        json_put_text(json, slice_of(text));
}

static bool put_row(struct dead_command *command, const struct change *row, struct error *err) {
    struct slice line;
    if (!change_json_write(&command->row, row, &line, err))
        return false;
    json_put_key(&command->json, "row");
    json_put_raw(&command->json, (struct slice){.data = line.data, .size = line.size - 1});
    return true;
}

static bool print_json(struct dead_command *command, const struct dead_letter *letter, struct error *err) {
    struct json_writer *json = &command->json;
    json_writer_begin(json);
    yajl_gen_map_open(json->generator);
    json_put_field(json, "sink", command->config->sink.name);
    json_put_key(json, "id");
    json_put_raw(json, slice_of(letter->id));
    json_put_field(json, "schema", letter->schema);
    json_put_field(json, "table", letter->table);
    json_put_field(json, "commit_lsn", letter->lsn);
    json_put_key(json, "index");
    json_put_raw(json, slice_of(letter->change));
    json_put_field(json, "state", letter->failed ? "failed" : "waiting");
    put_optional(json, "sqlstate", letter->sqlstate);
    put_optional(json, "reason", letter->reason);
    put_optional(json, "remedy", letter->remedy);
    json_put_field(json, "at", letter->at);
    if (letter->row != NULL && !put_row(command, letter->row, err))
        return false;
    yajl_gen_map_close(json->generator);
    return json_writer_print(json, stdout, err);
}

static const char WAITS[] = "waits for another letter of its key";

static bool print_text(struct dead_command *command, const struct dead_letter *letter, struct error *err) {
    char raw[160], name[512], reason[4096];
    struct slice line;
    snprintf(raw, sizeof raw, "%s.%s", letter->schema, letter->table);
    visible_write(name, sizeof name, slice_of(raw));
    visible_write(reason, sizeof reason, slice_of(letter->failed ? letter->reason : WAITS));
    printf("%s  %s  change %s of the transaction at %s, %s\n    %s\n", letter->id, name, letter->change,
           letter->lsn, letter->at, reason);
    visible_write(reason, sizeof reason, slice_of(letter->remedy));
    if (reason[0] != '\0')
        printf("    %s\n", reason);
    if (letter->row == NULL)
        return true;
    if (!change_json_write(&command->row, letter->row, &line, err))
        return false;
    printf("    %.*s", (int) line.size, line.data);
    return true;
}

static bool print_letter(void *context, const struct dead_letter *letter, struct error *err) {
    struct dead_command *command = context;
    command->failed += letter->failed;
    command->waiting += !letter->failed;
    return command->line->json ? print_json(command, letter, err) : print_text(command, letter, err);
}

static bool list_sink(struct dead_command *command, struct error *err) {
    const struct dead_wanted wanted = wanted_of(command->line);
    command->failed = command->waiting = 0;
    if (!command->ops->list(command->sink, &wanted, print_letter, command, err))
        return error_wrap(err, "sink %s", command->config->sink.name);
    if (!command->line->json)
        printf("sink %s: %s, %" PRIu64 " of them failed and %" PRIu64 " waiting\n",
               command->config->sink.name,
               amount_count(command->failed + command->waiting, "dead letter").text, command->failed,
               command->waiting);
    return true;
}

static bool list_sinks(struct dead_command *command, struct error *err) {
    const struct config *config = command->line->config;
    if (!json_writer_init(&command->json, err) || !json_writer_init(&command->row, err))
        return false;
    if (command->line->sink != NULL)
        return open_one_sink(command, err) && list_sink(command, err);
    for (size_t i = 0; i < config->sink_count; i++)
        if (sink_admin(config->sinks[i].ops, dead) != NULL &&
            (!open_sink(command, &config->sinks[i], err) || !list_sink(command, err)))
            return false;
    return true;
}

static enum exit_code run_list(const struct command_line *line) {
    struct dead_command command = {.line = line};
    struct error err = {0};
    if (line->table_count > 1)
        return refuse_usage("dead list", "--table may be given once");
    const bool done = list_sinks(&command, &err);
    dead_command_release(&command);
    return end_dead("dead list", done, &err);
}

/* ---- retry ---- */

static bool retry_letters(struct dead_command *command, struct dead_result *result, struct error *err) {
    const struct dead_wanted wanted = wanted_of(command->line);
    char user[256];
    write_user(user, sizeof user);
    return open_one_sink(command, err) && refuse_running(command, err) &&
           command->ops->retry(command->sink, &wanted, user, result, err);
}

static enum exit_code run_retry(const struct command_line *line) {
    struct dead_command command = {.line = line};
    struct dead_result result = {0};
    struct error err = {0};
    if (line->argument != NULL && !is_number(line->argument))
        return refuse_usage("dead retry",
                            "expected the number of a dead letter, as `pgcdc dead list` shows it");
    if (line->table_count > 1 || (line->table_count == 1 && line->argument != NULL))
        return refuse_usage("dead retry", "expected one --table, or the number of a dead letter");
    const bool done = retry_letters(&command, &result, &err);
    dead_command_release(&command);
    if (result.settled > 0 || done)
        printf("%s applied\n", amount_count(result.settled, "dead letter").text);
    if (done && result.failed + result.waiting > 0) {
        printf("%s failed again, with %s that must wait: `pgcdc dead list` shows why\n",
               amount_count(result.failed, "dead letter").text,
               amount_count(result.waiting, "later one").text);
        return EXIT_FAILED;
    }
    return end_dead("dead retry", done, &err);
}

/* ---- skip ---- */

static bool skip_letter(struct dead_command *command, struct dead_result *result, struct error *err) {
    const struct command_line *line = command->line;
    const struct dead_wanted wanted = wanted_of(line);
    char user[256];
    write_user(user, sizeof user);
    return open_one_sink(command, err) && refuse_running(command, err) &&
           command->ops->skip(command->sink, &wanted, line->takes_waiting, line->reason, user, result, err);
}

static enum exit_code run_skip(const struct command_line *line) {
    struct dead_command command = {.line = line};
    struct dead_result result = {0};
    struct error err = {0};
    if (!is_number(line->argument))
        return refuse_usage("dead skip",
                            "expected the number of a dead letter, as `pgcdc dead list` shows it");
    const bool done = skip_letter(&command, &result, &err);
    dead_command_release(&command);
    if (done)
        printf("%s left out: the sink lacks what they did\n",
               amount_count(result.settled, "dead letter").text);
    if (done && result.waiting > 0)
        printf("%s of the same keys are left: `pgcdc dead retry` applies them\n",
               amount_count(result.waiting, "dead letter").text);
    return end_dead("dead skip", done, &err);
}

/* ---- the commands ---- */

static const struct command_use LIST_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_SINK, "only of this sink", false},
    {&OPTION_TABLE, "only of this table, by its name in the sink", false},
    {&OPTION_VALUES, "also the values of the rows, which may be confidential", false},
    {&OPTION_JSON_OUTPUT,
     "a line for each: sink, id, schema, table, commit_lsn, index, state, sqlstate, reason, remedy, at",
     false},
    {0},
};

const struct command command_dead_list = {
    .name = "dead list",
    .uses = LIST_USES,
    .summary = "show the changes that did not fit a sink",
    .help =
        "With on_error: dead_letter a change that does not fit a table is kept aside, and the pipeline\n"
        "goes on with those of other keys. Each such change has a number, its place in the source's WAL,\n"
        "and the reason. A later change of the same key waits for it.\n"
        "\n"
        "It shows no value of a row without --values.\n",
    .many = MANY_EACH,
    .run = run_list,
};

static const struct command_use RETRY_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_SINK, "of this sink; needed if there are several", false},
    {&OPTION_TABLE, "only those of this table, by its name in the sink", false},
    {0},
};

const struct command command_dead_retry = {
    .name = "dead retry",
    .uses = RETRY_USES,
    .argument = "[ID]",
    .summary = "apply dead letters again, once the reason is removed",
    .help = "Applies them in the order of the source and removes those that succeed, in transactions of the\n"
            "target. One that fails again stays with its new reason, and so do later ones of its key. ID:\n"
            "only this one, with those that share a key with it.\n"
            "\n"
            "An engine may run, but not one of a kafka sink: it goes on with the key as soon as no letter\n"
            "of it is left.\n"
            "Exit code 1 if any failed again.\n",
    .run = run_retry,
};

static const struct command_use SKIP_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_SINK, "of this sink; needed if there are several", false},
    {&OPTION_REASON, "why; kept in pgcdc.dead_log, with who did it and when", true},
    {&OPTION_WAITING, "also the later ones that share a key with it", false},
    {0},
};

const struct command command_dead_skip = {
    .name = "dead skip",
    .uses = SKIP_USES,
    .argument = "ID",
    .summary = "leave out a dead letter for good",
    .help = "The change is lost for the sink, which differs from the source from then on: `pgcdc verify`\n"
            "shows it. Later changes of its key still wait until `pgcdc dead retry` applies them.\n"
            "\n"
            "An engine may run, but not one of a kafka sink.\n",
    .run = run_skip,
};
