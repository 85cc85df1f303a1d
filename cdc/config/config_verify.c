/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_verify.c - reads the section verify.
 */
#include "cdc/base/amount.h"
#include "cdc/config/config_read.h"

const struct option_spec VERIFY_OPTIONS[] = {
    {"continuous", false,
     "while `run` runs, compares the tables of `postgres` sinks with the source, part by part, for ever, and "
     "reads at most this of the source a second: `20MB/s`",
     OPTION_TEXT, "off"},
    {0},
};

bool config_read_verify(const struct section *root, struct verify_config *ret_verify, struct error *err) {
    struct section section;
    const char *text = NULL;
    *ret_verify = (struct verify_config){0};
    if (!section_has(root, "verify"))
        return true;
    if (!section_open(root, "verify", &section, err) ||
        !section_check(&section, VERIFY_OPTIONS, NULL, NULL, err) ||
        !section_text(&section, "continuous", &text, err))
        return false;
    return text == NULL || amount_parse_rate(text, &ret_verify->continuous_bytes) ||
           section_error(&section, "continuous", NULL, err,
                         "expected a number of megabytes a second: 20MB/s");
}
