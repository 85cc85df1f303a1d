/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - the other side of NAME.sock, for commands.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <yajl/yajl_tree.h>

#include "cdc/config/config.h"

/* *ret_fd is -1 when no engine runs. The caller closes it. */
MUST_CHECK bool console_connect(const struct config *config, int *ret_fd, struct error *err);

/*
 * Sends a request of request.h and waits for its answer, a tree that the caller frees with yajl_tree_free.
 * An answer that is not ok becomes the error.
 */
MUST_CHECK bool console_ask(int fd, const char *request, const atomic_bool *stop, yajl_val *ret_answer,
                            struct error *err);
