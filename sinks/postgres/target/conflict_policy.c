/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict_policy.c - reads the options.
 */
#include "sinks/postgres/target/conflict_policy.h"

#include <string.h>

/* The index of the option's value among the words, 0 without a value; -1: not one of the words. */
static int find_word(const struct sink_config *config, const char *key, const char *const *words) {
    const char *value = sink_config_find(config, key);
    for (int i = 0; words[i] != NULL; i++)
        if (value == NULL || strcmp(value, words[i]) == 0)
            return i;
    return -1;
}

bool conflict_policy_read(const struct sink_config *config, struct conflict_policy *ret_policy,
                          struct error *err) {
    static const char *const MISSING[] = {"stop", "ignore", "insert", NULL};
    static const char *const EXISTS[] = {"stop", "overwrite", NULL};
    static const char *const DETECTS[] = {"off", "on", NULL};
    int detects = find_word(config, "detect_origin", DETECTS);
    int on_missing = find_word(config, "on_missing", MISSING);
    int on_exists = find_word(config, "on_exists", EXISTS);
    if (on_missing < 0) {
        error_set(err, ERROR_CONFIG, "on_missing: expected stop, ignore or insert");
        return error_option(err, "on_missing");
    }
    if (on_exists < 0) {
        error_set(err, ERROR_CONFIG, "on_exists: expected stop or overwrite");
        return error_option(err, "on_exists");
    }
    if (detects < 0) {
        error_set(err, ERROR_CONFIG, "detect_origin: expected off or on");
        return error_option(err, "detect_origin");
    }
    if (detects > 0 && sink_config_find(config, "origin") == NULL) {
        error_set(err, ERROR_CONFIG,
                  "detect_origin: on needs origin: NAME, by which the sink knows its own rows");
        return error_option(err, "detect_origin");
    }
    *ret_policy = (struct conflict_policy){.on_missing = (enum on_missing) on_missing,
                                           .on_exists = (enum on_exists) on_exists,
                                           .detects_origin = detects > 0};
    return true;
}
