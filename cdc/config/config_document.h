/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_document.h - the configuration file as a tree of YAML nodes with line numbers.
 *
 * Refuses YAML that a configuration does not need and an attacker could use: anchors and aliases, tags,
 * several documents, duplicate keys, NULs.
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
 * ERROR_CONFIG with file and line if text is not such a document. The caller releases it, only after success.
 */
MUST_CHECK bool config_document_load(struct config_document *document, const char *path, struct slice text,
                                     struct error *err);
void config_document_release(struct config_document *document);

/* NULL for an empty document. */
yaml_node_t *config_document_root(struct config_document *document);

/* The value of key in a mapping. NULL if it is missing, or if node is NULL or not a mapping. */
yaml_node_t *config_document_get(struct config_document *document, const yaml_node_t *node, const char *key);

/* An item of a sequence. NULL after the last, or if node is NULL or not a sequence. */
yaml_node_t *config_document_item(struct config_document *document, const yaml_node_t *node, size_t index);

/* The text of a scalar; NULL for any other node and for NULL. */
const char *config_document_text(const yaml_node_t *node);

/* ERROR_CONFIG "FILE:LINE: " and the formatted text; node may be NULL (line 1). Returns false. */
bool config_document_error(const struct config_document *document, const yaml_node_t *node, struct error *err,
                           const char *format, ...) PRINTF_LIKE(4, 5);
