/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - the socket at the address of http.listen, and at no other.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/config/config.h"

/* ERROR_CONFIG: the address is in use, or is not one of this machine. The caller closes *ret_fd. */
MUST_CHECK bool listener_open(const struct config *config, int *ret_fd, struct error *err);
