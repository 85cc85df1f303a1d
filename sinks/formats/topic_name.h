/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_name.h - which topic a table's messages go to.
 *
 * Of a table's name Kafka takes [a-zA-Z0-9_] as it is; every other byte becomes '-' and two hexadecimal
 * digits:
 *
 *     template "{source}.{schema}.{table}", pipeline shop
 *     public.order_items   shop.public.order_items
 *     public."Größe"       shop.public.Gr-c3-b6-c3-9fe
 *     public."a.b"         shop.public.a-2eb
 *
 * A name never holds a '.', and two placeholders must have one between them, so two tables share a topic only
 * where the template leaves their names out.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

#define TOPIC_NAME_MAX 249 /* Kafka's */
#define TOPIC_TEMPLATE_DEFAULT "{source}.{schema}.{table}"

/* What the placeholders stand for. */
struct topic_subject {
    struct slice source;
    struct slice schema;
    struct slice table;
};

/* Is every character legal, every placeholder known, and a '.' between each two? ERROR_CONFIG. */
MUST_CHECK bool topic_template_check(const char *template, struct error *err);

/* Are they one name, or two that Kafka refuses beside each other because they differ in '.' and '_' only? */
bool topic_names_collide(const char *one, const char *other);

/* The name, NUL-terminated, in place of what ret_name held. ERROR_CONFIG: longer than Kafka takes. */
MUST_CHECK bool topic_name_build(const char *template, const struct topic_subject *subject,
                                 char ret_name[TOPIC_NAME_MAX + 1], struct error *err);
