/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toc_test.c - the table of contents of pg_dump's custom format, of each version of it, whole and damaged.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/migrate/schema/toc.h"

#define BYTES_MAX ((size_t) 1 << 20)

struct writer {
    struct buffer bytes;
    int version;
};

static void put_int(struct writer *writer, int value) {
    buffer_append_u8(&writer->bytes, value < 0);
    const unsigned size = (unsigned) (value < 0 ? -value : value);
    for (int i = 0; i < 4; i++)
        buffer_append_u8(&writer->bytes, (uint8_t) (size >> (8 * i)));
}

static void put_text(struct writer *writer, const char *text) {
    put_int(writer, text != NULL ? (int) strlen(text) : -1);
    if (text != NULL)
        buffer_append_text(&writer->bytes, text);
}

static void put_head(struct writer *writer, int count) {
    const uint8_t head[] = {'P', 'G', 'D', 'M', 'P', 1, (uint8_t) writer->version, 0, 4, 8, 1};
    buffer_append(&writer->bytes, head, sizeof head);
    if (writer->version >= 15)
        buffer_append_u8(&writer->bytes, 1);
    else
        put_int(writer, -1);
    for (int i = 0; i < 7; i++)
        put_int(writer, 9);
    put_text(writer, "shop");
    put_text(writer, "15.18");
    put_text(writer, "18.6");
    put_int(writer, count);
}

static void put_entry(struct writer *writer, int id, const char *name, const char *kind, const char *need) {
    put_int(writer, id);
    put_int(writer, 0);
    put_text(writer, "1259");
    put_text(writer, "16386");
    put_text(writer, name);
    put_text(writer, kind);
    put_int(writer, TOC_POST_DATA);
    put_text(writer, "CREATE;\n");
    put_text(writer, "DROP;\n");
    put_text(writer, NULL);
    put_text(writer, "public");
    put_text(writer, "");
    put_text(writer, "heap");
    if (writer->version >= 16)
        put_int(writer, 'r');
    put_text(writer, "owner");
    put_text(writer, "false");
    if (need != NULL)
        put_text(writer, need);
    put_text(writer, NULL);
    buffer_append(&writer->bytes, "\1\0\0\0\0\0\0\0\0", 9);
}

static void write_archive(struct writer *writer, int version) {
    writer->version = version;
    buffer_init(&writer->bytes, BYTES_MAX);
    put_head(writer, 2);
    put_entry(writer, 7, "line\n-- Name: x; Type: TABLE", "TABLE", NULL);
    put_entry(writer, 9, "t \"a", "INDEX", "7");
    cr_assert(buffer_ok(&writer->bytes));
}

Test(toc, each_version_is_read_as_it_was_written) {
    for (int version = 14; version <= 16; version++) {
        struct writer writer;
        struct arena arena;
        struct toc toc;
        struct error err = {0};
        write_archive(&writer, version);
        arena_init(&arena, 4096, BYTES_MAX);
        cr_assert(toc_read(buffer_slice(&writer.bytes), &arena, &toc, &err), "version %d: %s", version,
                  err.text);
        cr_assert_eq(toc.count, 2);
        cr_assert_str_eq(toc.entries[0].name, "line\n-- Name: x; Type: TABLE");
        cr_assert_str_eq(toc.entries[1].kind, "INDEX");
        cr_assert_str_eq(toc.entries[1].sql, "CREATE;\n");
        cr_assert_str_eq(toc.entries[1].owner, "owner");
        cr_assert_eq(toc.entries[1].need_count, 1);
        cr_assert_eq(toc.entries[1].needs[0], 7);
        arena_release(&arena);
        buffer_release(&writer.bytes);
    }
}

Test(toc, a_part_of_it_is_an_error) {
    struct writer writer;
    write_archive(&writer, 16);
    for (size_t size = 0; size < writer.bytes.size; size++) {
        struct arena arena;
        struct toc toc;
        struct error err = {0};
        char *part = malloc(size + 1); /* so that a read past its end is seen */
        memcpy(part, writer.bytes.data, size);
        arena_init(&arena, 4096, BYTES_MAX);
        cr_assert_not(toc_read((struct slice){.data = part, .size = size}, &arena, &toc, &err), "%zu bytes",
                      size);
        cr_assert_eq(err.kind, ERROR_PROTOCOL);
        arena_release(&arena);
        free(part);
    }
    buffer_release(&writer.bytes);
}

Test(toc, a_damaged_byte_is_an_error_or_another_table) {
    struct writer writer;
    write_archive(&writer, 16);
    for (size_t at = 0; at < writer.bytes.size; at++) {
        struct arena arena;
        struct toc toc;
        struct error err = {0};
        const char was = writer.bytes.data[at];
        writer.bytes.data[at] = (char) (was ^ 0x7f);
        arena_init(&arena, 4096, BYTES_MAX);
        if (!toc_read(buffer_slice(&writer.bytes), &arena, &toc, &err))
            cr_assert_neq(err.kind, ERROR_NONE);
        writer.bytes.data[at] = was;
        arena_release(&arena);
    }
    buffer_release(&writer.bytes);
}

Test(toc, a_later_format_is_named_with_the_remedy) {
    struct writer writer;
    struct toc toc;
    struct error err = {0};
    write_archive(&writer, 17);
    cr_assert_not(toc_read(buffer_slice(&writer.bytes), NULL, &toc, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
    cr_assert_str_eq(err.text, "pg_dump writes archives of version 1.17, which pgcdc cannot read");
    cr_assert_str_eq(err.remedy, "name a pg_dump of PostgreSQL 14 to 18 with schema.pg_dump");
    buffer_release(&writer.bytes);
}
