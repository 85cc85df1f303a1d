/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_file.h - a secret that is the first line of a file.
 */
#pragma once

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

#define PASSWORD_BYTES_MAX 4096 /* tokens of clouds are some thousand bytes */

/*
 * The line without its end, NUL-terminated; the caller wipes it. ERROR_CONFIG names the file, never what is
 * in it: it cannot be read, is empty, or its line is longer than a password.
 */
MUST_CHECK bool password_file_read(const char *path, char ret_password[PASSWORD_BYTES_MAX + 1],
                                   struct error *err);
