/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text.c - lines.
 */
#include "cdc/http/metrics_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "cdc/base/utf8.h"

enum { METRIC_LABELS_MAX = 4, US_PER_SECOND = 1000000 };

void metric_begin(struct buffer *text, const char *name, const char *type, const char *help) {
    buffer_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(struct buffer *text, const char *value) {
    if (!utf8_is_valid(slice_of(value))) {
        buffer_append_text(text, "not UTF-8");
        return;
    }
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n') {
            buffer_append_text(text, "\\n");
            continue;
        }
        if (*at == '\\' || *at == '"')
            buffer_append_u8(text, '\\');
        buffer_append_u8(text, (uint8_t) *at);
    }
}

static void put_name(struct buffer *text, const char *name, const char *suffix,
                     const struct metric_label *labels) {
    buffer_printf(text, "%s%s", name, suffix);
    for (const struct metric_label *label = labels; label->name != NULL; label++) {
        buffer_printf(text, "%s%s=\"", label == labels ? "{" : ",", label->name);
        put_value(text, label->value);
        buffer_append_u8(text, '"');
    }
    buffer_append_text(text, labels->name != NULL ? "} " : " ");
}

void metric_put(struct buffer *text, const char *name, const struct metric_label *labels, uint64_t value) {
    put_name(text, name, "", labels);
    buffer_printf(text, "%" PRIu64 "\n", value);
}

static void put_us(struct buffer *text, uint64_t us) {
    buffer_printf(text, "%" PRIu64 ".%06" PRIu64 "\n", us / US_PER_SECOND, us % US_PER_SECOND);
}

void metric_put_seconds(struct buffer *text, const char *name, const struct metric_label *labels,
                        int64_t us) {
    put_name(text, name, "", labels);
    put_us(text, us > 0 ? (uint64_t) us : 0);
}

void metric_put_latency(struct buffer *text, const char *name, const struct metric_label *labels,
                        const struct latency_view *latency) {
    struct metric_label all[METRIC_LABELS_MAX + 2] = {{0}};
    char bound[32];
    size_t count = 0;
    uint64_t sum = 0;
    for (; labels[count].name != NULL; count++) {
        assert(count < METRIC_LABELS_MAX);
        all[count] = labels[count];
    }
    all[count] = (struct metric_label){"le", bound};
    for (size_t i = 0; i <= LATENCY_BOUNDS; i++) {
        if (i < LATENCY_BOUNDS)
            snprintf(bound, sizeof bound, "%g", (double) LATENCY_BOUNDS_US[i] / US_PER_SECOND);
        else
            snprintf(bound, sizeof bound, "+Inf");
        sum += latency->counts[i];
        put_name(text, name, "_bucket", all);
        buffer_printf(text, "%" PRIu64 "\n", sum);
    }
    put_name(text, name, "_sum", labels);
    put_us(text, latency->sum_us);
    put_name(text, name, "_count", labels);
    buffer_printf(text, "%" PRIu64 "\n", sum);
}
