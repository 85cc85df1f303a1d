/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_hash.h - SQL that hashes many texts into one bigint.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buffer.h"

/* Expressions of type text. */
struct text_list {
    const char **items;
    size_t count;
};

/*
 * hashtextextended; each text's hash is the seed for the next: four times as fast as hashing ROW(...)::text
 * if texts are long. NULL counts as a text of its own.
 */
void text_hash_append(struct buffer *sql, const struct text_list *texts);

/* md5 over the row as UTF-8, for servers whose hashtextextended or encoding differ. */
void text_hash_append_md5(struct buffer *sql, const struct text_list *texts);
