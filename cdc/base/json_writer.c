/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_writer.c - JSON, one document a line.
 */
#include "cdc/base/json_writer.h"

#include "cdc/base/utf8.h"
#include "cdc/base/visible.h"

#define LINE_BYTES_MAX ((size_t) 4 << 30) /* a value has up to 1 GB, and escapes lengthen it */

/* ---- pieces ---- */

void json_put_text(struct json_writer *json, struct slice text) {
    if (utf8_is_valid(text))
        yajl_gen_string(json->generator, (const unsigned char *) text.data, text.size);
    else
        json->problem = "a text is not UTF-8";
}

void json_put_integer(struct json_writer *json, int64_t number) {
    yajl_gen_integer(json->generator, number);
}

void json_put_key(struct json_writer *json, const char *key) {
    json_put_text(json, slice_of(key));
}

void json_put_field(struct json_writer *json, const char *key, const char *text) {
    json_put_key(json, key);
    json_put_text(json, slice_of(text));
}

void json_put_lsn(struct json_writer *json, const char *key, lsn_t lsn) {
    json_put_key(json, key);
    if (lsn == 0)
        yajl_gen_null(json->generator);
    else
        json_put_text(json, slice_of(lsn_format(lsn).text));
}

void json_put_number(struct json_writer *json, const char *key, int64_t number) {
    json_put_key(json, key);
    if (number < 0)
        yajl_gen_null(json->generator);
    else
        json_put_integer(json, number);
}

/* yajl writes a number's text unchanged. */
void json_put_raw(struct json_writer *json, struct slice text) {
    yajl_gen_number(json->generator, text.data, text.size);
}

void json_put_embedded(struct json_writer *json, struct slice text) {
    if (memchr(text.data, '\n', text.size) == NULL && memchr(text.data, '\r', text.size) == NULL) {
        json_put_raw(json, text);
        return;
    }
    struct buffer *scratch = &json->scratch;
    scratch->size = 0;
    buffer_append_slice(scratch, text);
    for (size_t i = 0; i < scratch->size; i++)
        if (scratch->data[i] == '\n' || scratch->data[i] == '\r')
            scratch->data[i] = ' ';
    json_put_raw(json, buffer_slice(scratch));
}

void json_put_hex(struct json_writer *json, struct slice bytes) {
    static const char DIGITS[] = "0123456789abcdef";
    struct buffer *scratch = &json->scratch;
    scratch->size = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned byte = (unsigned char) bytes.data[i];
        buffer_append_u8(scratch, (uint8_t) DIGITS[byte >> 4]);
        buffer_append_u8(scratch, (uint8_t) DIGITS[byte & 15]);
    }
    json_put_text(json, buffer_slice(scratch));
}

/* ---- the line ---- */

static void json_writer_append(void *context, const char *bytes, size_t size) {
    buffer_append(context, bytes, size);
}

bool json_writer_init(struct json_writer *json, struct error *err) {
    *json = (struct json_writer){.generator = yajl_gen_alloc(NULL)};
    buffer_init(&json->line, LINE_BYTES_MAX);
    buffer_init(&json->scratch, LINE_BYTES_MAX);
    if (json->generator == NULL)
        return error_no_memory(err);
    yajl_gen_config(json->generator, yajl_gen_print_callback, json_writer_append, &json->line);
    return true;
}

void json_writer_release(struct json_writer *json) {
    if (json->generator != NULL)
        yajl_gen_free(json->generator);
    json->generator = NULL;
    buffer_release(&json->line);
    buffer_release(&json->scratch);
}

void json_writer_begin(struct json_writer *json) {
    yajl_gen_reset(json->generator, "");
    buffer_reset(&json->line);
    buffer_reset(&json->scratch);
    json->problem = NULL;
}

/* The first bytes of the characters that visible_trick knows. */
static bool may_be_trick(char letter) {
    const unsigned char byte = (unsigned char) letter;
    return byte == 0x7F || byte == 0xC2 || byte == 0xD8 || byte == 0xE2 || byte == 0xEF;
}

/*
 * A terminal obeys more characters than JSON's grammar wants escaped. A line has them in strings only, where
 * \u stands for the same character.
 */
static struct slice escape_tricks(struct json_writer *json) {
    const struct slice line = buffer_slice(&json->line);
    size_t done = 0;
    json->scratch.size = 0;
    for (size_t i = 0; i < line.size; i++) {
        const struct slice rest = {.data = line.data + i, .size = line.size - i};
        const uint32_t code = may_be_trick(line.data[i]) ? visible_trick(rest) : 0;
        if (code == 0)
            continue;
        buffer_append(&json->scratch, line.data + done, i - done);
        buffer_printf(&json->scratch, "\\u%04x", (unsigned) code);
        done = i + utf8_character_size(rest);
        i = done - 1;
    }
    if (done == 0)
        return line;
    buffer_append(&json->scratch, line.data + done, line.size - done);
    return buffer_slice(&json->scratch);
}

bool json_writer_finish(struct json_writer *json, struct slice *ret_line, struct error *err) {
    buffer_append_text(&json->line, "\n");
    if (json->problem != NULL)
        return error_set(err, ERROR_PROTOCOL, "%s", json->problem);
    if (!buffer_ok(&json->line) || !buffer_ok(&json->scratch))
        return error_no_memory(err);
    *ret_line = escape_tricks(json);
    return buffer_ok(&json->scratch) || error_no_memory(err);
}

bool json_writer_print(struct json_writer *json, FILE *file, struct error *err) {
    struct slice line;
    if (!json_writer_finish(json, &line, err))
        return false;
    fwrite(line.data, 1, line.size, file);
    return true;
}
