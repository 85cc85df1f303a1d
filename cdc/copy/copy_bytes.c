/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_bytes.c - gathers messages, and passes a large one on without a copy.
 */
#include "cdc/copy/copy_bytes.h"

#include "decoder/builtin_type.h"

#define GATHERED_BYTES ((size_t) 128 << 10)
#define GATHERED_BYTES_MAX ((size_t) 256 << 10)

void copy_bytes_init(struct copy_bytes *bytes, struct sink *sink) {
    *bytes = (struct copy_bytes){.sink = sink, .gathered = {.bytes_max = GATHERED_BYTES_MAX}};
}

void copy_bytes_release(struct copy_bytes *bytes) {
    buffer_release(&bytes->gathered);
}

static bool types_are_portable(const struct table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table_column_is_copied(&table->columns[i]) &&
            !builtin_type_is_portable(table->columns[i].type_oid))
            return false;
    return true;
}

enum copy_format copy_bytes_format(struct sink *sink, const struct table *table, bool text_only) {
    const bool binary =
        !text_only && types_are_portable(table) && sink->ops->copy->accepts_binary(sink, table);
    return binary ? COPY_FORMAT_BINARY : COPY_FORMAT_TEXT;
}

bool copy_bytes_send(struct copy_bytes *bytes, struct error *err) {
    if (!bytes->sink->ops->copy->data(bytes->sink, buffer_slice(&bytes->gathered), err))
        return false;
    buffer_reset(&bytes->gathered);
    return true;
}

bool copy_bytes_add(struct copy_bytes *bytes, struct slice message, struct error *err) {
    if (bytes->gathered.size + message.size > GATHERED_BYTES && !copy_bytes_send(bytes, err))
        return false;
    if (message.size > GATHERED_BYTES)
        return bytes->sink->ops->copy->data(bytes->sink, message, err);
    buffer_append_slice(&bytes->gathered, message);
    return buffer_ok(&bytes->gathered) ? true : error_no_memory(err);
}
