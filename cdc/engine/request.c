/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c - a tree of yajl, of which exactly one key is taken.
 */
#include "cdc/engine/request.h"

#include <stdio.h>
#include <string.h>
#include <yajl/yajl_tree.h>

static const char *const NAMES[] = {[REQUEST_PAUSE] = "pause",
                                    [REQUEST_RESUME] = "resume",
                                    [REQUEST_RELOAD] = "reload",
                                    [REQUEST_LOG_LEVEL] = "log_level",
                                    [REQUEST_STATE] = "state"};

const char *request_name(enum request_kind kind) {
    return NAMES[kind];
}

static bool is_wrong(const char *what, struct error *err) {
    return error_set(err, ERROR_PROTOCOL, "the request is wrong: %s", what);
}

static bool take_kind(const char *key, struct request *request, struct error *err) {
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcmp(NAMES[i], key) == 0) {
            request->kind = (enum request_kind) i;
            return true;
        }
    return is_wrong("its key is none of pause, resume, reload, log_level, state", err);
}

static bool takes_sink(enum request_kind kind) {
    return kind == REQUEST_PAUSE || kind == REQUEST_RESUME;
}

static bool take_value(yajl_val value, struct request *request, struct error *err) {
    const char *text = YAJL_GET_STRING(value);
    if (request->kind == REQUEST_LOG_LEVEL)
        return (text != NULL && log_level_parse(text, &request->level)) ||
               is_wrong("log_level is error, warning, info or debug", err);
    if (YAJL_IS_TRUE(value))
        return true;
    if (!takes_sink(request->kind) || text == NULL || text[0] == '\0' || strlen(text) >= sizeof request->sink)
        return is_wrong(takes_sink(request->kind) ? "expected true, or the name of a sink" : "expected true",
                        err);
    snprintf(request->sink, sizeof request->sink, "%s", text);
    return true;
}

static bool take_tree(yajl_val tree, struct request *request, struct error *err) {
    if (!YAJL_IS_OBJECT(tree) || YAJL_GET_OBJECT(tree)->len != 1)
        return is_wrong("expected an object with one key", err);
    return take_kind(YAJL_GET_OBJECT(tree)->keys[0], request, err) &&
           take_value(YAJL_GET_OBJECT(tree)->values[0], request, err);
}

bool request_parse(struct slice text, struct request *ret_request, struct error *err) {
    char copy[REQUEST_BYTES_MAX], problem[64];
    struct request request = {.kind = REQUEST_STATE};
    if (text.size >= sizeof copy || memchr(text.data, '\0', text.size) != NULL)
        return is_wrong("it is too long, or no text", err);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    yajl_val tree = yajl_tree_parse(copy, problem, sizeof problem);
    if (tree == NULL)
        return is_wrong("it is not JSON", err);
    const bool is_taken = take_tree(tree, &request, err);
    yajl_tree_free(tree);
    if (is_taken)
        *ret_request = request;
    return is_taken;
}
