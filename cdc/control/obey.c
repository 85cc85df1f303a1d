/* SPDX-License-Identifier: Apache-2.0 */
/*
 * obey.c - one function for each request, on the operator's thread.
 */
#include "cdc/control/obey.h"

#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/exit_code.h"
#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/control/reload.h"
#include "cdc/engine/request.h"

enum { OBEY_WORDS_MAX = 8192 };

/* ---- pause and resume ---- */

static bool find_named(const struct console *console, const char *name, size_t *ret_sink, struct error *err) {
    const struct config *config = console->config;
    *ret_sink = SIZE_MAX;
    if (name[0] == '\0')
        return true;
    for (size_t i = 0; i < config->sink_count; i++)
        if (strcmp(config->sinks[i].sink.name, name) == 0) {
            *ret_sink = i;
            return true;
        }
    return error_set(err, ERROR_CONFIG, "pipeline %s has no sink of this name", config->name);
}

static bool obey_pause(struct console *console, const struct request *request, const char *by,
                       struct error *err) {
    size_t sink = 0;
    struct pause_facts facts = {.since_us = clock_unix_us()};
    if (console->has_end)
        return error_set(err, ERROR_REFUSE,
                         "this run ends by itself, at --until, and a pause would keep it from that") ||
               error_remedy(err, "stop it, then pause: the next run without --until begins paused");
    snprintf(facts.by, sizeof facts.by, "%s", by);
    if (!find_named(console, request->sink, &sink, err) || !pauses_begin(&console->pauses, sink, &facts, err))
        return false;
    log_line(LOG_PAUSE_ASKED, "%s asked for a pause of %s", by,
             request->sink[0] != '\0' ? request->sink : "all sinks");
    return true;
}

static bool obey_resume(struct console *console, const struct request *request, const char *by,
                        struct error *err) {
    size_t sink = 0;
    if (!find_named(console, request->sink, &sink, err) || !pauses_end(&console->pauses, sink, 0, err))
        return false;
    log_line(LOG_RESUME_ASKED, "%s ended the pause of %s", by,
             request->sink[0] != '\0' ? request->sink : "all sinks");
    return true;
}

/* ---- the others ---- */

static bool obey_reload(struct console *console, const char *by, struct buffer *words, struct error *err) {
    if (!console_reload(console, words, err)) {
        log_line(LOG_NOT_RELOADED, "%s asked to read the configuration again: %s", by, error_line(err).text);
        return false;
    }
    const char *text = buffer_text(words);
    log_line(LOG_RELOADED, "%s asked to read the configuration again: %s", by,
             text != NULL ? text : "it is in force");
    return true;
}

static bool obey_request(struct console *console, const struct request *request, const char *by,
                         struct buffer *words, struct error *err) {
    switch (request->kind) {
    case REQUEST_PAUSE:
        return obey_pause(console, request, by, err);
    case REQUEST_RESUME:
        return obey_resume(console, request, by, err);
    case REQUEST_RELOAD:
        return obey_reload(console, by, words, err);
    case REQUEST_LOG_LEVEL:
        log_line(LOG_LEVEL_CHANGED, "%s set the log's level to %s", by, log_level_name(request->level));
        log_set_level(request->level);
        return true;
    case REQUEST_STATE:
        return true;
    }
    return true;
}

void console_obey_reload(struct console *console, const char *by) {
    struct buffer words AUTO(buffer_release) = {.bytes_max = OBEY_WORDS_MAX};
    struct error err = {0};
    if (!obey_reload(console, by, &words, &err))
        return;
}

/* ---- the answer ---- */

static void put_paused(struct json_writer *json, struct console *console, size_t sink) {
    const struct pause_facts facts = pauses_look(&console->pauses, sink);
    const struct pause *pause = &console->pauses.sinks[sink];
    if (!facts.is_wanted)
        return;
    const bool is_held = atomic_load(&pause->is_held);
    yajl_gen_map_open(json->generator);
    json_put_field(json, "sink", console->config->sinks[sink].sink.name);
    json_put_number(json, "since_us", facts.since_us);
    json_put_field(json, "by", facts.by);
    json_put_key(json, "held");
    yajl_gen_bool(json->generator, is_held);
    json_put_lsn(json, "at", is_held ? atomic_load(&pause->held_lsn) : 0);
    yajl_gen_map_close(json->generator);
}

static void put_good(struct json_writer *json, struct console *console, struct buffer *words) {
    const char *text = words->size > 0 ? buffer_text(words) : "";
    json_put_key(json, "ok");
    yajl_gen_bool(json->generator, true);
    json_put_field(json, "words", text != NULL ? text : "");
    json_put_field(json, "log_level", log_level_name(log_level()));
    json_put_key(json, "paused");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < console->config->sink_count; i++)
        put_paused(json, console, i);
    yajl_gen_array_close(json->generator);
}

static void put_bad(struct json_writer *json, const struct error *error) {
    json_put_key(json, "ok");
    yajl_gen_bool(json->generator, false);
    json_put_field(json, "error", error->text);
    json_put_field(json, "remedy", error->remedy);
    json_put_number(json, "exit_code", exit_code_of(error));
}

static bool write_answer(struct console *console, bool is_good, const struct error *error,
                         struct buffer *words, struct buffer *answer, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct slice line;
    if (!json_writer_init(&json, err))
        return false;
    yajl_gen_map_open(json.generator);
    if (is_good)
        put_good(&json, console, words);
    else
        put_bad(&json, error);
    yajl_gen_map_close(json.generator);
    if (!json_writer_finish(&json, &line, err))
        return false;
    buffer_append_slice(answer, line);
    return true;
}

void console_obey(struct console *console, struct slice text, const char *by, struct buffer *answer) {
    struct buffer words AUTO(buffer_release) = {.bytes_max = OBEY_WORDS_MAX};
    struct error error = {0}, unwritten = {0};
    struct request request;
    const bool is_good =
        request_parse(text, &request, &error) && obey_request(console, &request, by, &words, &error);
    if (!write_answer(console, is_good, &error, &words, answer, &unwritten))
        buffer_append_text(answer, "{\"ok\": false, \"error\": \"out of memory\", \"remedy\": \"\"}\n");
}
