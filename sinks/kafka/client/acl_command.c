/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acl_command.c - builds it from the sink's brokers and user.
 */
#include "sinks/kafka/client/acl_command.h"

#include <stdio.h>

#include "cdc/base/shell_word.h"

struct acl_command acl_command(const struct sink_config *config, const char *operations, const char *option,
                               const char *name) {
    const char *user = sink_config_find(config, "properties.sasl.username");
    const char *brokers = sink_config_find(config, "brokers");
    struct acl_command command;
    int length = snprintf(command.text, sizeof command.text,
                          "kafka-acls --bootstrap-server %s --add --allow-principal User:%s %s %s %s",
                          shell_word(brokers).text, user != NULL ? shell_word(user).text : "NAME", operations,
                          option, shell_word(name).text);
    if (length < 0 || (size_t) length >= sizeof command.text)
        command.text[0] = '\0'; /* a truncated command would be executed as it is printed */
    return command;
}
