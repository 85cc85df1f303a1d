/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_print.c - a recorded stream as our debezium-json has it, one line a message, as Record.java writes
 * Debezium's.
 *
 *     debezium_print RECORDING DATABASE [--read] [OPTION=VALUE...]
 *
 * --read: every insert as if it were a row of the initial copy. A change that cannot be written is complained
 * of and left out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/json_text.h"
#include "decoder/decoder.h"
#include "sinks/formats/format.h"
#include "tests/support/recording.h"

#define BYTES_MAX ((size_t) 256 * 1024 * 1024)
#define NOW_US INT64_C(1700000000123456)

enum { OPTIONS_MAX = 32 };

struct printing {
    struct format *format;
    struct decoder *decoder;
    struct arena arena;
    struct message_list list;
    struct buffer line;
    bool as_read;
};

static void append_span(struct printing *printing, const struct message_span *span) {
    if (span->is_null)
        buffer_append_text(&printing->line, "null");
    else
        buffer_append(&printing->line, printing->list.bytes.data + span->offset, span->size);
}

static bool append_topic(struct buffer *line, const struct relation *relation) {
    struct buffer topic AUTO(buffer_release) = {.bytes_max = 1000};
    buffer_append_text(&topic, "golden.");
    buffer_append_slice(&topic, relation->schema);
    buffer_append_text(&topic, ".");
    buffer_append_slice(&topic, relation->name);
    return json_append_string(line, buffer_slice(&topic));
}

static bool print_message(struct printing *printing, const struct message *message) {
    struct buffer *line = &printing->line;
    buffer_reset(line);
    buffer_append_text(line, "{\"topic\":");
    if (!append_topic(line, message->relation))
        return false;
    buffer_append_text(line, ",\"key\":");
    append_span(printing, &message->key);
    buffer_append_text(line, ",\"value\":");
    append_span(printing, &message->value);
    buffer_append_text(line, ",\"headers\":{");
    for (uint32_t i = 0; i < message->header_count; i++) {
        buffer_printf(line, "%s\"%s\":", i > 0 ? "," : "", message->headers[i].name);
        append_span(printing, &message->headers[i].value);
    }
    buffer_append_text(line, "}}\n");
    fwrite(line->data, 1, line->size, stdout);
    return buffer_ok(line);
}

static bool print_change(struct printing *printing, const struct change *change, uint32_t relation_index,
                         struct error *err) {
    if (!format_debezium_json.encode(printing->format, change, relation_index, NOW_US, &printing->list,
                                     err)) {
        fprintf(stderr, "%s\n", err->text);
        return err->kind == ERROR_DATA;
    }
    for (size_t i = 0; i < printing->list.count; i++)
        if (!print_message(printing, &printing->list.messages[i]))
            return error_no_memory(err);
    return true;
}

static bool print_decoded(struct printing *printing, struct change *change, struct error *err) {
    uint32_t count = change_is_row(change) ? 1 : change->kind == CHANGE_TRUNCATE ? change->relation_count : 0;
    if (printing->as_read && change->kind != CHANGE_INSERT)
        return true;
    if (printing->as_read)
        change->kind = CHANGE_READ;
    for (uint32_t i = 0; i < count; i++)
        if (!print_change(printing, change, i, err))
            return false;
    return true;
}

static bool print_stream(struct printing *printing, const char *path, struct error *err) {
    struct recording recording AUTO(recording_close) = {0};
    struct slice message;
    lsn_t lsn;
    if (!recording_open(&recording, path))
        return error_set(err, ERROR_SYSTEM, "%s cannot be read", path);
    while (recording_next(&recording.cursor, &lsn, &message)) {
        struct change *change = NULL;
        if (!decoder_decode(printing->decoder, lsn, message, &printing->arena, &change, err) ||
            (change != NULL && !print_decoded(printing, change, err)))
            return false;
    }
    return true;
}

static bool print_all(const char *path, const struct sink_config *config, bool as_read, struct error *err) {
    struct printing printing = {
        .as_read = as_read, .list.bytes.bytes_max = BYTES_MAX, .line.bytes_max = BYTES_MAX};
    const struct format_options options = {.config = config};
    arena_init(&printing.arena, 64 * 1024, BYTES_MAX);
    printing.decoder = decoder_new();
    bool good = printing.decoder != NULL || error_no_memory(err);
    good = good && format_debezium_json.create(&options, &printing.format, err) &&
           print_stream(&printing, path, err);
    format_debezium_json.free(printing.format);
    decoder_free(printing.decoder);
    arena_release(&printing.arena);
    buffer_release(&printing.list.bytes);
    buffer_release(&printing.line);
    return good;
}

int main(int argc, char **argv) {
    struct sink_option options[OPTIONS_MAX];
    struct sink_config config = {.pipeline = "golden", .name = "golden", .options = options};
    struct error err = {0};
    bool as_read = false;
    if (argc < 3 || argc > OPTIONS_MAX) {
        fprintf(stderr, "usage: debezium_print RECORDING DATABASE [--read] [OPTION=VALUE...]\n");
        return 2;
    }
    config.database = argv[2];
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) {
            as_read = true;
            continue;
        }
        *value = '\0';
        options[config.option_count++] = (struct sink_option){.key = argv[i], .value = value + 1};
    }
    if (print_all(argv[1], &config, as_read, &err))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s\n", err.text);
    return EXIT_FAILURE;
}
