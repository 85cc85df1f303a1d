/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acl_command.h - the command that grants the sink's user a right.
 */
#pragma once

#include "sinks/sink.h"

#define ACL_COMMAND_BYTES 1024

struct acl_command {
    char text[ACL_COMMAND_BYTES]; /* "": it is too long */
};

/*
 * "kafka-acls ..." for operations ("--operation Describe --operation Write") on a resource in the form of
 * kafka-acls: "--topic" and its name.
 */
struct acl_command acl_command(const struct sink_config *config, const char *operations, const char *option,
                               const char *name);
