/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h - where PostgreSQL begins to count time: 2000-01-01 00:00 UTC, in seconds and microseconds since
 * 1970-01-01.
 */
#pragma once

#include <stdint.h>

#define POSTGRES_EPOCH_S INT64_C(946684800)
#define POSTGRES_EPOCH_US (POSTGRES_EPOCH_S * 1000000)
