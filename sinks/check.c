/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - passes a sink's findings on.
 */
#include "sinks/check.h"

void sink_check_add(const struct sink_check *check, enum sink_severity severity, const char *code,
                    const char *format, ...) {
    va_list values;
    va_start(values, format);
    check->ops->add(check->context, severity, code, format, values);
    va_end(values);
}

void sink_check_fix(const struct sink_check *check, const char *format, ...) {
    va_list values;
    va_start(values, format);
    check->ops->fix(check->context, format, values);
    va_end(values);
}

void sink_check_object(const struct sink_check *check, const char *object) {
    check->ops->object(check->context, object);
}

void sink_check_gap(const struct sink_check *check, const struct table *table, const char *column) {
    if (check->ops->gap != NULL)
        check->ops->gap(check->context, table, column);
}
