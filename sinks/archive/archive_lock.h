/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_lock.h - one process at a time changes an archive.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"

/*
 * Locks the directory, which exists. ERROR_RETRY when another process has the lock, or the disk is full;
 * ERROR_CONFIG when the directory cannot be written. The lock ends when *ret_fd is closed, or with the
 * process; the caller closes it also after an error, unless it is -1.
 */
MUST_CHECK bool archive_lock(const char *directory, int *ret_fd, struct error *err);
