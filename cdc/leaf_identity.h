/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaf_identity.h - what the catalog says of the partitions of tables that are published by their root.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "decoder/partition_tree.h"

/* publications: the text of an array of names. In arena. No tree when nothing is published by its root. */
MUST_CHECK bool leaf_identity_read(struct session *source, const char *publications, struct arena *arena,
                                   struct partition_trees *ret_trees, struct error *err);
