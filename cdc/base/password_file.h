/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_file.h - a secret that is the first line of a file.
 */
#pragma once

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

#define PASSWORD_BYTES_MAX 4096 /* tokens of cloud providers have some thousand bytes */

/*
 * The first line without its end, NUL-terminated; the caller wipes it. ERROR_CONFIG names the file, never its
 * content: the file cannot be read or is empty, or the line is too long for a password.
 */
MUST_CHECK bool password_file_read(const char *path, char ret_password[PASSWORD_BYTES_MAX + 1],
                                   struct error *err);
