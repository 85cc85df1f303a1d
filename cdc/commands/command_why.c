/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_why.c - pgcdc why: the change that stopped the pipeline, and the target's rows that prevent it.
 *
 * Keys go to standard output only; no value of a row is logged or stored. Changes nothing on either side.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/base/utf8.h"
#include "cdc/base/visible.h"
#include "cdc/command.h"
#include "cdc/engine/state_lock.h"
#include "cdc/status/stopped_change.h"
#include "cdc/status/why.h"

enum { VISIBLE_BYTES_MAX = 64 * 1024 };

struct answer {
    const struct failure *failure;
    const struct stop_place *place;
    const struct change *change;
    const struct why *why; /* NULL: the change is not of a row */
};

static const char *operation_of(const struct change *change) {
    switch (change->kind) {
    case CHANGE_INSERT:
        return "insert";
    case CHANGE_UPDATE:
        return "update";
    case CHANGE_DELETE:
        return "delete";
    default:
        return "truncate";
    }
}

static const struct relation *relation_of(const struct change *change) {
    return change->kind == CHANGE_TRUNCATE ? change->relations[0] : change->relation;
}

/* ---- for people ---- */

static void print_values(const struct named_values *values) {
    for (size_t i = 0; i < values->count; i++) {
        fputs(i == 0 ? "(" : ", ", stdout);
        visible_print(stdout, values->items[i].name);
    }
    fputs(")=(", stdout);
    for (size_t i = 0; i < values->count; i++) {
        fputs(i == 0 ? "" : ", ", stdout);
        visible_print(stdout, values->items[i].is_null ? slice_of("null") : values->items[i].text);
    }
    fputs(")\n", stdout);
}

static void print_why(const struct why *why) {
    fputs("key        ", stdout);
    print_values(&why->key);
    if (!why->is_asked)
        return;
    printf("conflict   %s\n", why->kind != NULL      ? why->kind
                              : why->clash_count > 0 ? "an exclusion constraint, which has no kind"
                                                     : "none is seen now: see the error");
    printf("target     %s\n", !why->is_known ? "unknown: it cannot be asked for that key"
                              : why->exists  ? "exists: it has a row with that key"
                                             : "missing: it has no row with that key");
    for (size_t i = 0; i < why->clash_count; i++) {
        fputs("clash      ", stdout);
        visible_print(stdout, why->clashes[i].constraint);
        fputs(": the target's row ", stdout);
        print_values(&why->clashes[i].row);
    }
    for (size_t i = 0; i < why->unasked_count; i++) {
        fputs("not asked  ", stdout);
        visible_print(stdout, why->unasked[i]);
        fputs(": the target could not evaluate it for this row\n", stdout);
    }
}

static void print_answer(const struct answer *answer) {
    const struct relation *relation = relation_of(answer->change);
    printf("sink       %s\nchange     %" PRIu64
           " of the transaction that commits at %s\noperation  %s\ntable      ",
           answer->place->sink->sink.name, answer->place->index, lsn_format(answer->place->lsn).text,
           operation_of(answer->change));
    visible_print(stdout, relation->schema);
    fputc('.', stdout);
    visible_print(stdout, relation->name);
    fputc('\n', stdout);
    if (answer->why != NULL)
        print_why(answer->why);
    fputs("error      ", stdout);
    visible_print(stdout, slice_of(error_line(&answer->failure->error).text));
    fputc('\n', stdout);
}

/* ---- for programs ---- */

/* JSON must be UTF-8; a database of encoding SQL_ASCII may hold other bytes. */
static void put_text(struct json_writer *json, struct slice text) {
    char visible[VISIBLE_BYTES_MAX];
    if (!utf8_is_valid(text))
        text = (struct slice){.data = visible, .size = visible_write(visible, sizeof visible, text)};
    json_put_text(json, text);
}

static void put_values(struct json_writer *json, const struct named_values *values) {
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < values->count; i++) {
        put_text(json, values->items[i].name);
        if (values->items[i].is_null)
            yajl_gen_null(json->generator);
        else
            put_text(json, values->items[i].text);
    }
    yajl_gen_map_close(json->generator);
}

static void put_why(struct json_writer *json, const struct why *why) {
    json_put_key(json, "key");
    put_values(json, &why->key);
    json_put_key(json, "conflict");
    if (why->kind != NULL)
        json_put_text(json, slice_of(why->kind));
    else
        yajl_gen_null(json->generator);
    json_put_field(json, "target", !why->is_known ? "unknown" : why->exists ? "exists" : "missing");
    json_put_key(json, "clashes");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < why->clash_count; i++) {
        yajl_gen_map_open(json->generator);
        json_put_key(json, "constraint");
        put_text(json, why->clashes[i].constraint);
        json_put_key(json, "key");
        put_values(json, &why->clashes[i].row);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
    json_put_key(json, "not_asked");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < why->unasked_count; i++)
        put_text(json, why->unasked[i]);
    yajl_gen_array_close(json->generator);
}

static bool put_answer(const struct answer *answer, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    json_put_field(&json, "sink", answer->place->sink->sink.name);
    json_put_field(&json, "lsn", lsn_format(answer->place->lsn).text);
    json_put_key(&json, "index");
    json_put_integer(&json, (int64_t) answer->place->index);
    json_put_field(&json, "operation", operation_of(answer->change));
    json_put_key(&json, "schema");
    put_text(&json, relation_of(answer->change)->schema);
    json_put_key(&json, "table");
    put_text(&json, relation_of(answer->change)->name);
    if (answer->why != NULL)
        put_why(&json, answer->why);
    json_put_field(&json, "error", error_line(&answer->failure->error).text);
    yajl_gen_map_close(json.generator);
    return json_writer_print(&json, stdout, err);
}

/* ---- the command ---- */

static bool read_place(const struct config *config, struct failure *failure, struct stop_place *place,
                       struct error *err) {
    failure_read(config->state, config->name, failure);
    stop_place_read(config, failure, place);
    if (!failure->exists)
        return error_set(err, ERROR_REFUSE, "nothing has stopped this pipeline");
    if (place->sink == NULL || place->commit_lsn == 0 || !place->has_index)
        return error_set(err, ERROR_REFUSE, "the stop is not about one change: %s",
                         error_line(&failure->error).text);
    return true;
}

static bool command_why_ask(const struct command_line *line, const struct config_sink *of,
                            struct stopped_change *stopped, struct why *why, struct error *err) {
    if (sink_admin(of->ops, target) == NULL)
        return why_take_key(why, stopped->change, &stopped->arena, err);
    struct sink *sink = sink_new(of->ops, &of->sink, line->stop);
    if (sink == NULL)
        return error_no_memory(err);
    const bool asked = why_ask(why, stopped->change, sink, &stopped->arena, err);
    sink_free(sink);
    return asked;
}

static bool answer(const struct command_line *line, const struct answer *known,
                   struct stopped_change *stopped, struct error *err) {
    struct answer answer = *known;
    struct why why;
    answer.change = stopped->change;
    if (change_is_row(stopped->change)) {
        if (!command_why_ask(line, known->place->sink, stopped, &why, err))
            return false;
        answer.why = &why;
    }
    if (line->json)
        return put_answer(&answer, err);
    print_answer(&answer);
    return true;
}

static bool why_locked(const struct command_line *line, const struct config *config, struct error *err) {
    struct failure failure;
    struct stop_place place;
    struct stopped_change stopped AUTO(stopped_change_release) = {0};
    if (!read_place(config, &failure, &place, err))
        return false;
    const struct answer known = {.failure = &failure, .place = &place};
    return stopped_change_read(&stopped, config, &place, line->stop, err) &&
           answer(line, &known, &stopped, err);
}

static enum exit_code run(const struct command_line *line) {
    struct state_lock lock = {.fd = -1};
    struct error err = {0};
    const struct config *config = stop_place_part(line->config);
    bool done = state_lock_take(&lock, config->state, config->name, &err);
    if (!done && err.kind == ERROR_RUNNING) {
        err.kind = ERROR_REFUSE;
        error_wrap(&err, "stop it first");
    } else if (done) {
        done = why_locked(line, config, &err);
    }
    state_lock_release(&lock);
    if (done)
        return EXIT_DONE;
    log_command_failure("why", &err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_JSON_OUTPUT, "one object", false},
    {0},
};

const struct command command_why = {
    .name = "why",
    .uses = USES,
    .summary = "show the change that stopped the pipeline, and the rows that prevent it",
    .help = "Shows the change that the stored error of the last stop names: operation, table and key,\n"
            "the row that a postgres sink's target has for that key now, and which unique and exclusion\n"
            "constraints conflict with which row there. The conflict has PostgreSQL's name:\n"
            "insert_exists, update_exists, update_missing, delete_missing, multiple_unique_conflicts.\n"
            "The target evaluates its constraints itself; one that it cannot evaluate for the row is\n"
            "named as not asked. For another type of sink only the key is shown.\n"
            "\n"
            "It reads the slot without consuming anything, and changes nothing on either side. Keys are\n"
            "printed to standard output only. The server decodes the slot's WAL up to that transaction,\n"
            "which may take a while.\n"
            "\n"
            "Refused (exit 3): while an engine runs, if nothing has stopped the pipeline, and if the\n"
            "stop is not about one change.",
    .run = run,
};
