/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toc.c - reads the table of contents of an archive.
 *
 *     archive = "PGDMP" version[3] int_size offset_size format head count entry*
 *     int     = sign byte, int_size bytes with the lowest first;   text = int length (-1: NULL), bytes
 *
 * Versions 1.14 (pg_dump 14) to 1.16 (17 and 18) differ in two fields.
 */
#include "cdc/migrate/schema/toc.h"

#include <stdlib.h>

enum {
    VERSION_MIN = 14,
    VERSION_COMPRESSION = 15, /* one byte instead of an int */
    VERSION_RELKIND = 16,
    VERSION_MAX = 16,
    FORMAT_CUSTOM = 1,
    ENTRIES_MAX = 10 * 1000 * 1000,
    NEEDS_MAX = 1000 * 1000,
    TIME_INTS = 7,
};

struct toc_reader {
    const unsigned char *next, *end;
    struct arena *arena;
    unsigned version, int_size, offset_size;
    bool failed; /* for good: what is read after it is zero */
    bool lacks_memory;
};

static unsigned read_byte(struct toc_reader *reader) {
    if (reader->next == reader->end)
        reader->failed = true;
    return reader->failed ? 0 : *reader->next++;
}

static int read_int(struct toc_reader *reader) {
    const bool is_negative = read_byte(reader) != 0;
    uint64_t value = 0;
    for (unsigned i = 0; i < reader->int_size; i++)
        value |= (uint64_t) read_byte(reader) << (8 * i);
    if (value > INT32_MAX)
        reader->failed = true;
    return reader->failed ? 0 : is_negative ? -(int) value : (int) value;
}

/* NULL for a null, and when the reader has failed. */
static const char *read_text(struct toc_reader *reader) {
    const int length = read_int(reader);
    if (length < 0 || reader->failed)
        return NULL;
    if (length > reader->end - reader->next) {
        reader->failed = true;
        return NULL;
    }
    const struct slice bytes = {.data = (const char *) reader->next, .size = (size_t) length};
    char *text = arena_copy(reader->arena, bytes);
    reader->lacks_memory = reader->lacks_memory || text == NULL;
    reader->failed = reader->failed || text == NULL;
    reader->next += length;
    return text;
}

static const char *read_text_or_empty(struct toc_reader *reader) {
    const char *text = read_text(reader);
    return text != NULL ? text : "";
}

static void skip_bytes(struct toc_reader *reader, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        (void) read_byte(reader);
}

/* A list of numbers as texts, ended by a null. */
static void read_needs(struct toc_reader *reader, struct toc_entry *entry) {
    const struct toc_reader begin = *reader;
    size_t count = 0;
    while (read_text(reader) != NULL && count < NEEDS_MAX)
        count++;
    int *needs = arena_alloc_zero(reader->arena, (count + 1) * sizeof *needs);
    if (needs == NULL || reader->failed) {
        reader->lacks_memory = reader->lacks_memory || needs == NULL;
        reader->failed = true;
        return;
    }
    *reader = begin;
    for (size_t i = 0; i <= count; i++) {
        const char *number = read_text(reader);
        needs[i] = number != NULL ? (int) strtol(number, NULL, 10) : 0;
    }
    entry->needs = needs;
    entry->need_count = count;
}

static void read_entry(struct toc_reader *reader, struct toc_entry *entry) {
    entry->id = read_int(reader);
    (void) read_int(reader);  /* has data */
    (void) read_text(reader); /* the catalog and the OID in it */
    (void) read_text(reader);
    entry->name = read_text_or_empty(reader);
    entry->kind = read_text_or_empty(reader);
    entry->section = (enum toc_section) read_int(reader);
    entry->sql = read_text_or_empty(reader);
    entry->drop = read_text_or_empty(reader);
    (void) read_text(reader); /* COPY */
    entry->schema = read_text_or_empty(reader);
    (void) read_text(reader); /* tablespace */
    entry->method = read_text_or_empty(reader);
    if (reader->version >= VERSION_RELKIND)
        (void) read_int(reader);
    entry->owner = read_text_or_empty(reader);
    (void) read_text(reader); /* WITH OIDS */
    read_needs(reader, entry);
    skip_bytes(reader, 1 + reader->offset_size); /* where its data is */
}

static bool read_magic(struct toc_reader *reader, struct error *err) {
    static const char MAGIC[] = "PGDMP";
    bool is_archive = true;
    for (size_t i = 0; i < sizeof MAGIC - 1; i++)
        is_archive = read_byte(reader) == (unsigned char) MAGIC[i] && is_archive;
    const unsigned major = read_byte(reader);
    reader->version = read_byte(reader);
    skip_bytes(reader, 1);
    reader->int_size = read_byte(reader);
    reader->offset_size = read_byte(reader);
    const unsigned format = read_byte(reader);
    if (reader->failed || !is_archive || format != FORMAT_CUSTOM || reader->int_size > 8)
        return error_set(err, ERROR_PROTOCOL, "pg_dump wrote something that is not an archive");
    if (major == 1 && reader->version >= VERSION_MIN && reader->version <= VERSION_MAX)
        return true;
    error_set(err, ERROR_CONFIG, "pg_dump writes archives of version %u.%u, which pgcdc cannot read", major,
              reader->version);
    return error_remedy(err, "name a pg_dump of PostgreSQL 14 to 18 with schema.pg_dump");
}

static void skip_head(struct toc_reader *reader) {
    if (reader->version >= VERSION_COMPRESSION)
        skip_bytes(reader, 1);
    else
        (void) read_int(reader);
    for (int i = 0; i < TIME_INTS; i++)
        (void) read_int(reader);
    for (int i = 0; i < 3; i++) /* database, version of the server, of pg_dump */
        (void) read_text(reader);
}

bool toc_read(struct slice archive, struct arena *arena, struct toc *ret_toc, struct error *err) {
    struct toc_reader reader = {.next = (const unsigned char *) archive.data,
                                .end = (const unsigned char *) archive.data + archive.size,
                                .arena = arena};
    if (!read_magic(&reader, err))
        return false;
    skip_head(&reader);
    const int count = read_int(&reader);
    struct toc toc = {.count = (size_t) count};
    if (count < 0 || count > ENTRIES_MAX || count > reader.end - reader.next)
        return error_set(err, ERROR_PROTOCOL, "pg_dump wrote an archive whose table of contents is damaged");
    toc.entries = arena_alloc_zero(arena, (toc.count + 1) * sizeof *toc.entries);
    if (toc.entries == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < toc.count && !reader.failed; i++)
        read_entry(&reader, &toc.entries[i]);
    if (reader.lacks_memory)
        return error_no_memory(err);
    if (reader.failed)
        return error_set(err, ERROR_PROTOCOL, "pg_dump wrote an archive that ends too early");
    *ret_toc = toc;
    return true;
}
