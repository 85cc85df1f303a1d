/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.c - the file's text.
 *
 *     pgcdc failure 1
 *     kind retry
 *     sqlstate 57P03
 *     attempts 3
 *     since 1764399600000000
 *     last 1764399607000000
 *     position 0/16B3748
 *     transaction 0/16B3700
 *     conflict update_missing
 *     text ...
 *     remedy ...
 *     end
 */
#include "cdc/engine/failure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/engine/state_file.h"

#define MAGIC "pgcdc failure 1\n"
#define KIND "failure"

enum { TEXT_BYTES_MAX = 64 * 1024 };

/* ---- reading ---- */

static void take_text(char *target, size_t size, const char *line, const char *key) {
    const size_t length = strlen(key);
    if (strncmp(line, key, length) == 0)
        snprintf(target, size, "%.*s", (int) strcspn(line + length, "\n"), line + length);
}

static void take_line(const char *line, void *context) {
    struct failure *failure = context;
    char lsn[32] = "", commit_lsn[32] = "";
    take_text(failure->error.sqlstate, sizeof failure->error.sqlstate, line, "sqlstate ");
    take_text(failure->error.text, sizeof failure->error.text, line, "text ");
    take_text(failure->error.remedy, sizeof failure->error.remedy, line, "remedy ");
    take_text(failure->error.conflict, sizeof failure->error.conflict, line, "conflict ");
    take_text(lsn, sizeof lsn, line, "position ");
    take_text(commit_lsn, sizeof commit_lsn, line, "transaction ");
    if (sscanf(line, "attempts %" SCNu64, &failure->attempts) == 1 ||
        sscanf(line, "since %" SCNd64, &failure->since_us) == 1 ||
        sscanf(line, "last %" SCNd64, &failure->last_us) == 1)
        return;
    if (lsn[0] != '\0' && !lsn_parse(lsn, &failure->position_lsn))
        failure->position_lsn = 0;
    if (commit_lsn[0] != '\0' && !lsn_parse(commit_lsn, &failure->error.commit_lsn))
        failure->error.commit_lsn = 0;
    failure->exists = strcmp(line, "end\n") == 0;
}

void failure_read(const char *directory, const char *pipeline, struct failure *ret_failure) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    *ret_failure = (struct failure){0};
    state_file_read(&file, MAGIC, take_line, ret_failure);
    if (!ret_failure->exists)
        *ret_failure = (struct failure){0};
}

/* ---- writing ---- */

/* A text stays on one line. */
static char in_line(char letter) {
    return (unsigned char) letter < ' ' ? ' ' : letter;
}

static void print_text(struct buffer *out, const char *key, const char *text) {
    buffer_append_text(out, key);
    for (; *text != '\0'; text++)
        buffer_append_u8(out, (uint8_t) in_line(*text));
    buffer_append_text(out, "\n");
}

static void print_failure(struct buffer *out, const struct failure *failure) {
    buffer_printf(out,
                  MAGIC "kind %s\nsqlstate %s\nattempts %" PRIu64 "\nsince %" PRId64 "\nlast %" PRId64
                        "\nposition %s\n",
                  error_kind_name(failure->error.kind), failure->error.sqlstate, failure->attempts,
                  failure->since_us, failure->last_us, lsn_format(failure->position_lsn).text);
    if (failure->error.commit_lsn != 0)
        buffer_printf(out, "transaction %s\n", lsn_format(failure->error.commit_lsn).text);
    if (failure->error.conflict[0] != '\0')
        print_text(out, "conflict ", failure->error.conflict);
    print_text(out, "text ", failure->error.text);
    print_text(out, "remedy ", failure->error.remedy);
    buffer_append_text(out, "end\n");
}

bool failure_write(const char *directory, const char *pipeline, const struct failure *failure,
                   struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    print_failure(&text, failure);
    if (!buffer_ok(&text))
        return error_no_memory(err);
    if (!state_file_write(&file, buffer_slice(&text), false, err))
        return false;
    FAULT_POINT("failure-written");
    return state_file_place(&file, err);
}

static bool is_kept(const char *kept, const char *text) {
    while (*kept != '\0' && *kept == in_line(*text)) {
        kept++;
        text++;
    }
    return *kept == '\0' && *text == '\0';
}

bool failure_explain(const char *directory, const char *pipeline, const struct error *error,
                     struct error *err) {
    struct failure failure;
    failure_read(directory, pipeline, &failure);
    if (!failure.exists || !is_kept(failure.error.text, error->text) ||
        is_kept(failure.error.remedy, error->remedy))
        return true;
    failure.error = *error;
    return failure_write(directory, pipeline, &failure, err);
}

bool failure_remove(const char *directory, const char *pipeline, struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    return state_file_remove(&file, err);
}
