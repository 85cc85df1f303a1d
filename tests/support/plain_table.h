/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_table.h - a struct target_table as target_table_find would make it, without a server.
 */
#pragma once

#include "sinks/postgres/catalog/target_table.h"
#include "tests/support/change_builder.h"

/* Every column is written, of the source's type, and takes binary; arrays of builtin types are known. */
struct target_table *plain_table(struct change_builder *builder, const struct relation *relation);
