/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identifier.h - names and literals in SQL text, for the places where no parameter can stand.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

/* "name" with inner quotes doubled. */
void identifier_append(struct buffer *sql, struct slice name);

/* "schema"."name". */
void identifier_append_qualified(struct buffer *sql, struct slice schema, struct slice name);

/* 'text' with quotes doubled, and E'' with doubled backslashes where there are any. */
void literal_append(struct buffer *sql, struct slice text);
