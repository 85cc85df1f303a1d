/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_drop.h - forgets an archive's position and keeps what it holds.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"

/*
 * Moves the segments of the directory into a folder dropped-TIME there, the oldest first. May be repeated
 * after a kill. True also when there is no such directory.
 */
MUST_CHECK bool archive_drop_segments(const char *directory, struct error *err);
