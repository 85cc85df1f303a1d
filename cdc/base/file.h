/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - what the callers of write and rename do again and again.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

/* Writes all bytes; false with errno. */
MUST_CHECK bool file_write(int fd, struct slice bytes);

/* The names in the directory are on disk then. */
MUST_CHECK bool directory_sync(const char *path, struct error *err);
