/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_detail.c - see step_detail.h.
 */
#include "cdc/migrate/steps/step_detail.h"

#define DETAIL_BYTES_MAX ((size_t) 64 << 20)

bool step_detail(struct json_writer *json, struct buffer *text, const char **ret_text, struct error *err) {
    struct slice line;
    if (!json_writer_finish(json, &line, err))
        return false;
    buffer_init(text, DETAIL_BYTES_MAX);
    buffer_append(text, line.data, line.size - 1);
    *ret_text = buffer_text(text);
    return *ret_text != NULL ? true : error_no_memory(err);
}
