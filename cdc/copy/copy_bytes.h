/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_bytes.h - the bytes of COPY on their way into a sink, gathered so that a narrow row costs a memcpy.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/sink.h"

struct copy_bytes {
    struct sink *sink;
    struct buffer gathered;
};

void copy_bytes_init(struct copy_bytes *bytes, struct sink *sink);
void copy_bytes_release(struct copy_bytes *bytes);

/*
 * Binary when the types mean the same on every server and the sink accepts it. The sink has prepared the
 * table.
 */
enum copy_format copy_bytes_format(struct sink *sink, const struct table *table, bool text_only);

/* One message of COPY. */
MUST_CHECK bool copy_bytes_add(struct copy_bytes *bytes, struct slice message, struct error *err);

/* Gives the sink the rest. */
MUST_CHECK bool copy_bytes_send(struct copy_bytes *bytes, struct error *err);
