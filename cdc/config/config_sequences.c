/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_sequences.c - reads the section sequences.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/config/config_read.h"

enum { HEADROOM_DEFAULT = 1000, DIGITS_MAX = 15 };

const struct option_spec SEQUENCES_OPTIONS[] = {
    {"follow", false,
     "while `run` runs, sets the sequences of `postgres` sinks ahead of the source's once a minute, never "
     "back: "
     "`tables`, those in the schemas of published tables and the defaults of their columns, `all` or `none`",
     OPTION_TEXT, "`tables`; `none` for an archive and with `source.origin: none`"},
    {"headroom", false, "how many values ahead", OPTION_TEXT, "`1000`"},
    {0},
};

static bool read_headroom(const struct section *section, struct sequences_config *sequences,
                          struct error *err) {
    const char *text = NULL;
    if (!section_text(section, "headroom", &text, err))
        return false;
    if (text == NULL)
        return true;
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || text[digits] != '\0')
        return section_error(section, "headroom", NULL, err, "expected a number of values: 1000");
    sequences->headroom = strtoull(text, NULL, 10);
    return true;
}

bool config_read_sequences(const struct section *root, const struct source_config *source,
                           struct sequences_config *ret_sequences, struct error *err) {
    static const char *const FOLLOWS[] = {
        [SEQUENCES_NONE] = "none", [SEQUENCES_TABLES] = "tables", [SEQUENCES_ALL] = "all", NULL};
    const bool is_one_way = source->archive == NULL && !source->origin_is_none;
    size_t follow = is_one_way ? SEQUENCES_TABLES : SEQUENCES_NONE;
    struct section section;
    *ret_sequences =
        (struct sequences_config){.follow = (enum sequences_follow) follow, .headroom = HEADROOM_DEFAULT};
    if (!section_has(root, "sequences"))
        return true;
    if (!section_open(root, "sequences", &section, err) ||
        !section_check(&section, SEQUENCES_OPTIONS, NULL, NULL, err) ||
        !section_word(&section, "follow", FOLLOWS, &follow, err) ||
        !read_headroom(&section, ret_sequences, err))
        return false;
    if (source->archive != NULL && follow != SEQUENCES_NONE)
        return section_error(&section, "follow", NULL, err, "source.archive has no sequences; expected none");
    ret_sequences->follow = (enum sequences_follow) follow;
    return true;
}
