/* SPDX-License-Identifier: Apache-2.0 */
/*
 * one_sink.h - the sink that a command is about: the only one, or the one that --sink names.
 */
#pragma once

#include "cdc/command.h"

MUST_CHECK bool one_sink_find(const struct command_line *line, const struct config_sink **ret_sink,
                              struct error *err);
