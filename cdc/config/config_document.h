/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_document.h - the configuration file as a tree of YAML nodes that know their lines.
 *
 * Refuses what a configuration has no use
 * for and an attacker has: anchors and aliases, tags, several documents, duplicate keys, NULs.
 */
#pragma once

#include <yaml.h>

#include "cdc/base/error.h"
#include "cdc/base/slice.h"

struct config_document {
    const char *path; /* of the file, for errors */
    yaml_document_t yaml;
};

/*
 * ERROR_CONFIG naming file and line when text is not such a document. Released by the caller only on success.
 */
MUST_CHECK bool config_document_load(struct config_document *document, const char *path, struct slice text,
                                     struct error *err);
void config_document_release(struct config_document *document);

/* NULL for an empty document. */
yaml_node_t *config_document_root(struct config_document *document);

/* The value of key in a mapping; NULL when there is none, or node is NULL or no mapping. */
yaml_node_t *config_document_get(struct config_document *document, const yaml_node_t *node, const char *key);

/* The item of a sequence; NULL behind the last, or when node is NULL or no sequence. */
yaml_node_t *config_document_item(struct config_document *document, const yaml_node_t *node, size_t index);

/* The text of a scalar, NULL for NULL and for everything else. */
const char *config_document_text(const yaml_node_t *node);

/* ERROR_CONFIG "FILE:LINE: " and the formatted text; node may be NULL (line 1). Returns false. */
bool config_document_error(const struct config_document *document, const yaml_node_t *node, struct error *err,
                           const char *format, ...) PRINTF_LIKE(4, 5);
