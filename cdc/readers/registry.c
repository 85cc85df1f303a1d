/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - which reader a configuration asks for, and how it is created.
 */
#include <assert.h>
#include <stdlib.h>

#include "cdc/readers/archive/archive_reader.h"
#include "cdc/readers/reader.h"
#include "cdc/readers/slot/pipeline_slot.h"

static const struct reader_ops *ops_of(const struct config *config) {
    return config->source.archive != NULL ? &reader_archive : &reader_pipeline_slot;
}

struct reader *reader_new(const struct reader_ops *ops, const struct config *config,
                          const atomic_bool *stop) {
    if (ops == NULL)
        ops = ops_of(config);
    assert(ops->size >= sizeof(struct reader));
    struct reader *reader = calloc(1, ops->size);
    if (reader == NULL)
        return NULL;
    reader->ops = ops;
    reader->config = config;
    reader->stop = stop;
    return reader;
}

void reader_free(struct reader *reader) {
    free(reader);
}

void reader_reset(struct reader *reader) {
    *reader = (struct reader){.ops = reader->ops,
                              .config = reader->config,
                              .stop = reader->stop,
                              .has_streamed = reader->has_streamed};
}
