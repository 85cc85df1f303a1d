/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_ends.h - from where to where a table's topic is compared.
 */
#pragma once

#include "sinks/kafka/verify/topic_table.h"

/*
 * Sets parts of each table in the list: all offsets that its partitions have now. The client reads
 * uncommitted, because otherwise the brokers answer with the end of what is decided.
 */
MUST_CHECK bool topic_ends_find(struct client *client, struct topic_table *tables, struct error *err);
