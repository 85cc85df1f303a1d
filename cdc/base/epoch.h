/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h - PostgreSQL's epoch, 2000-01-01 00:00 UTC, in seconds and microseconds since 1970-01-01.
 */
#pragma once

#include <stdint.h>

#define POSTGRES_EPOCH_S INT64_C(946684800)
#define POSTGRES_EPOCH_US (POSTGRES_EPOCH_S * 1000000)
