/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_name.h - the name of the topic for a table's messages.
 *
 * [a-zA-Z0-9_] of a table's name are kept; every other byte becomes '-' and two hexadecimal digits:
 *
 *     template "{source}.{schema}.{table}", pipeline shop
 *     public.order_items   shop.public.order_items
 *     public."Größe"       shop.public.Gr-c3-b6-c3-9fe
 *     public."a.b"         shop.public.a-2eb
 *
 * An escaped name contains no '.', and two placeholders must have one between them, so two tables share a
 * topic only if the template leaves out their names.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

#define TOPIC_NAME_MAX 249 /* Kafka's limit */
#define TOPIC_TEMPLATE_DEFAULT "{source}.{schema}.{table}"

/* The values of the placeholders. */
struct topic_subject {
    struct slice source;
    struct slice schema;
    struct slice table;
};

/*
 * ERROR_CONFIG unless every character is legal, every placeholder known, and a '.' between any two
 * placeholders.
 */
MUST_CHECK bool topic_template_check(const char *template, struct error *err);

/* Are the names equal, or different only in '.' and '_'? Kafka refuses two such topics in one cluster. */
bool topic_names_collide(const char *one, const char *other);

/* Replaces the contents of ret_name with the name, NUL-terminated. ERROR_CONFIG: longer than Kafka allows. */
MUST_CHECK bool topic_name_build(const char *template, const struct topic_subject *subject,
                                 char ret_name[TOPIC_NAME_MAX + 1], struct error *err);
