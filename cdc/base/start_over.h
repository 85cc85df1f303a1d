/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start_over.h - the last remedy, when replication cannot be resumed; cdc/check/findings.md has each step.
 */
#pragma once

#define START_OVER "run `pgcdc drop`, empty the target's tables, and start over with a new copy"
