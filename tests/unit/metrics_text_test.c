/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text_test.c - what is written is Prometheus' format, whatever a name contains.
 */
#include <criterion/criterion.h>

#include "cdc/http/metrics_text.h"

static struct buffer text;

static void prepare(void) {
    buffer_init(&text, 1 << 16);
}

static void release(void) {
    buffer_release(&text);
}

TestSuite(metrics_text, .init = prepare, .fini = release);

Test(metrics_text, a_sample_without_labels_has_no_braces) {
    metric_put(&text, "pgcdc_up", METRIC_NO_LABELS, 1);
    cr_assert_str_eq(buffer_text(&text), "pgcdc_up 1\n");
}

Test(metrics_text, labels_are_escaped) {
    metric_put(&text, "m", METRIC_LABELS({"a", "x\"y"}, {"b", "back\\slash"}, {"c", "two\nlines"}), 7);
    cr_assert_str_eq(buffer_text(&text), "m{a=\"x\\\"y\",b=\"back\\\\slash\",c=\"two\\nlines\"} 7\n");
}

Test(metrics_text, a_name_that_is_not_utf8_is_replaced) {
    metric_put(&text, "m", METRIC_LABELS({"a", "\xff\xfe"}), 1);
    cr_assert_str_eq(buffer_text(&text), "m{a=\"not UTF-8\"} 1\n");
}

Test(metrics_text, seconds_keep_their_microseconds) {
    metric_put_seconds(&text, "m", METRIC_NO_LABELS, 1000001);
    metric_put_seconds(&text, "m", METRIC_NO_LABELS, -5);
    cr_assert_str_eq(buffer_text(&text), "m 1.000001\nm 0.000000\n");
}

Test(metrics_text, buckets_of_a_histogram_contain_those_before_them) {
    struct latency_view latency = {.sum_us = 500000};
    latency.counts[0] = 2;
    latency.counts[1] = 1;
    latency.counts[LATENCY_BOUNDS] = 4;
    metric_put_latency(&text, "m", METRIC_LABELS({"s", "x"}), &latency);
    const char *written = buffer_text(&text);
    cr_assert_not_null(strstr(written, "m_bucket{s=\"x\",le=\"0.005\"} 2\n"));
    cr_assert_not_null(strstr(written, "m_bucket{s=\"x\",le=\"0.01\"} 3\n"));
    cr_assert_not_null(strstr(written, "m_bucket{s=\"x\",le=\"300\"} 3\n"));
    cr_assert_not_null(strstr(written, "m_bucket{s=\"x\",le=\"+Inf\"} 7\n"));
    cr_assert_not_null(strstr(written, "m_sum{s=\"x\"} 0.500000\nm_count{s=\"x\"} 7\n"));
}
