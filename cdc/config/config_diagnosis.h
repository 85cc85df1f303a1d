/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_diagnosis.h - what is wrong with a file that libcyaml turned down: line, key and what is expected.
 */
#pragma once

#include "cdc/config/config_document.h"
#include "cdc/config/config_schema.h"

/*
 * Walks the document along libcyaml's own schema and puts the first misfit into *err; where it finds none *err stays
 * as it is. Names keys, never values.
 */
void config_diagnose(struct config_document *document, const struct config_schema *schema, struct error *err);

/* key when it looks like one and can be shown, else "..."; a missing ": " can make a key of a secret. */
const char *config_shown_key(const char *key);
