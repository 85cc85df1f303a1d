/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h - the texts that `pgcdc help` and the manual pages share, and the files that are made from the
 * tables.
 */
#pragma once

#include "cdc/base/exit_code.h"

/* Follows the meaning of a key whose new value a reload gives to a pipeline that runs. */
#define HELP_RELOADS " (reload)"

struct exit_meaning {
    enum exit_code code;
    const char *meaning;
};

/* command_help.c */
extern const struct exit_meaning EXIT_MEANINGS[]; /* ends with meaning NULL */
extern const char HELP_SUMMARY[];                 /* what the program does, in one line */
extern const char HELP_CONFIGURATION[];           /* paragraphs about the file, before its keys */

/* manual_page.c: pgcdc(1) and pgcdc.yaml(5), as the input of scdoc. */
void manual_page_print_program(void);
void manual_page_print_config(void);
