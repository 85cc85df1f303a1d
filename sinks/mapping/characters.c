/* SPDX-License-Identifier: Apache-2.0 */
/*
 * characters.c - ASCII is handled here, other letters by utf8proc.
 */
#include "sinks/mapping/characters.h"

#include <assert.h>

#include <utf8proc.h>

typedef utf8proc_int32_t code_point_t;

static bool is_ascii(char byte) {
    return ((unsigned char) byte & 0x80) == 0;
}

static bool begins_character(char byte) {
    return ((unsigned char) byte & 0xC0) != 0x80;
}

/* The character at `at`, which is before `end`, and its size. */
static code_point_t character_at(const char *at, const char *end, size_t *ret_size) {
    code_point_t point;
    if (is_ascii(*at)) {
        *ret_size = 1;
        return *at;
    }
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *) at, end - at, &point);
    assert(size > 0);
    *ret_size = (size_t) size;
    return point;
}

size_t characters_count(struct slice text) {
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += begins_character(text.data[i]);
    return count;
}

/* How many bytes the first `count` characters have. */
static size_t bytes_of(struct slice text, size_t count) {
    size_t size = 0;
    while (size < text.size) {
        if (begins_character(text.data[size]) && count-- == 0)
            break;
        size++;
    }
    return size;
}

struct slice characters_first(struct slice text, size_t count) {
    return (struct slice){.data = text.data, .size = bytes_of(text, count)};
}

struct slice characters_after(struct slice text, size_t count) {
    size_t size = bytes_of(text, count);
    return (struct slice){.data = text.data + size, .size = text.size - size};
}

/* Unicode's property White_Space, which has not grown since its version 4.0. */
static bool is_white_space(code_point_t point) {
    if (point < 0x80)
        return point == ' ' || (point >= '\t' && point <= '\r');
    return point == 0x85 || point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) ||
           point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

static const char *skip_white_space(const char *at, const char *end) {
    size_t size;
    while (at < end && is_white_space(character_at(at, end, &size)))
        at += size;
    return at;
}

static const char *skip_white_space_back(const char *start, const char *end) {
    size_t size;
    while (end > start) {
        const char *last = end - 1;
        while (!begins_character(*last))
            last--;
        if (!is_white_space(character_at(last, end, &size)))
            return end;
        end = last;
    }
    return end;
}

struct slice characters_trim(struct slice text) {
    const char *end = text.data + text.size;
    const char *start = skip_white_space(text.data, end);
    return (struct slice){.data = start, .size = (size_t) (skip_white_space_back(start, end) - start)};
}

static bool is_squeezed(const char *at, const char *end) {
    size_t size;
    for (bool after_blank = false; at < end; at += size) {
        code_point_t point = character_at(at, end, &size);
        bool is_white = is_white_space(point);
        if (is_white && (after_blank || point != ' '))
            return false;
        after_blank = is_white;
    }
    return true;
}

/* Returns where the written bytes end. */
static char *squeeze_into(char *out, const char *at, const char *end) {
    size_t size;
    for (; at < end; at += size) {
        const char *after = skip_white_space(at, end);
        if (after > at) {
            *out++ = ' ';
            size = (size_t) (after - at);
            continue;
        }
        character_at(at, end, &size);
        memcpy(out, at, size);
        out += size;
    }
    return out;
}

bool characters_squeeze(struct slice text, struct arena *arena, struct slice *ret_text, struct error *err) {
    const char *end = text.data + text.size;
    if (is_squeezed(text.data, end)) {
        *ret_text = text;
        return true;
    }
    char *squeezed = arena_alloc(arena, text.size);
    if (squeezed == NULL)
        return error_no_memory(err);
    *ret_text = (struct slice){squeezed, (size_t) (squeeze_into(squeezed, text.data, end) - squeezed)};
    return true;
}

struct letter_case {
    char first; /* of the 26 ASCII letters that change */
    code_point_t (*map)(code_point_t point);
};

static code_point_t change_case(const struct letter_case *to, code_point_t point) {
    if (point < 0x80)
        return point >= to->first && point < to->first + 26 ? point ^ ('a' ^ 'A') : point;
    return to->map(point);
}

/* The part of the text that has its case already. */
static size_t unchanged_size(const struct letter_case *to, struct slice text) {
    size_t size, done = 0;
    for (; done < text.size; done += size) {
        code_point_t point = character_at(text.data + done, text.data + text.size, &size);
        if (change_case(to, point) != point)
            break;
    }
    return done;
}

/* A letter of two bytes may become one of three; none grows by more. */
static size_t changed_size_max(size_t size) {
    return size + size / 2;
}

static char *write_case(const struct letter_case *to, char *out, const char *at, const char *end) {
    size_t size;
    for (; at < end; at += size) {
        code_point_t point = change_case(to, character_at(at, end, &size));
        if (point < 0x80)
            *out++ = (char) point;
        else
            out += utf8proc_encode_char(point, (utf8proc_uint8_t *) out);
    }
    return out;
}

static bool map_case(const struct letter_case *to, struct slice text, struct arena *arena,
                     struct slice *ret_text, struct error *err) {
    size_t same = unchanged_size(to, text);
    if (same == text.size) {
        *ret_text = text;
        return true;
    }
    size_t size_max = same + changed_size_max(text.size - same);
    char *changed = arena_alloc(arena, size_max);
    if (changed == NULL)
        return error_no_memory(err);
    memcpy(changed, text.data, same);
    size_t size =
        (size_t) (write_case(to, changed + same, text.data + same, text.data + text.size) - changed);
    assert(size <= size_max);
    *ret_text = (struct slice){changed, size};
    return true;
}

bool characters_lower(struct slice text, struct arena *arena, struct slice *ret_text, struct error *err) {
    static const struct letter_case LOWER = {'A', utf8proc_tolower};
    return map_case(&LOWER, text, arena, ret_text, err);
}

/* utf8proc gives the sharp s a capital, which Unicode's simple mapping does not. */
static code_point_t simple_upper(code_point_t point) {
    return point == 0xDF ? point : utf8proc_toupper(point);
}

bool characters_upper(struct slice text, struct arena *arena, struct slice *ret_text, struct error *err) {
    static const struct letter_case UPPER = {'a', simple_upper};
    return map_case(&UPPER, text, arena, ret_text, err);
}
