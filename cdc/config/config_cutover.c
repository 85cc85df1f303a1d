/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_cutover.c - reads the section cutover.
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/config/config_read.h"

enum { OUTAGE_DEFAULT_MS = 60000 };

const struct option_spec CUTOVER_OPTIONS[] = {
    {"fence", false,
     "what keeps applications from writing to the side that is left: `locks`, table locks that end with the "
     "process, until everything has arrived, then as `read_only`; `read_only`, the database's default, and "
     "the "
     "end of all other sessions; `external`, you do it, and say so with `--fenced`",
     OPTION_TEXT, "`locks`"},
    {"outage_max", false, "goes back when writes have been blocked for so long", OPTION_TEXT, "`60s`"},
    {"on_flip", false,
     "a command for the shell that points applications to the other side; it may be run twice. Its "
     "environment "
     "has `PGCDC_PIPELINE`, `PGCDC_DIRECTION` (`cutover`, `rollback`), `PGCDC_HOST`, `PGCDC_PORT` and "
     "`PGCDC_DATABASE`",
     OPTION_TEXT, "none"},
    {"verify", false, "behind the fence, compares `all` rows, or `none`", OPTION_TEXT, "`all`"},
    {"accept_left_behind", false,
     "what may stay behind, a list: `large_objects`, `unlogged_tables`, and `sequences` that cannot be set",
     OPTION_LIST, "none"},
    {0},
};

static bool read_outage(const struct section *section, struct cutover_config *cutover, struct error *err) {
    const char *text = NULL;
    if (!section_text(section, "outage_max", &text, err))
        return false;
    return text == NULL ||
           (amount_parse_duration(text, &cutover->outage_ms_max) && cutover->outage_ms_max > 0) ||
           section_error(section, "outage_max", NULL, err, "expected a duration: 60s");
}

static bool read_left_behind(const struct section *section, struct cutover_config *cutover,
                             struct error *err) {
    static const struct {
        const char *word;
        enum left_behind what;
    } WORDS[] = {{"large_objects", LEFT_LARGE_OBJECTS},
                 {"unlogged_tables", LEFT_UNLOGGED_TABLES},
                 {"sequences", LEFT_SEQUENCES}};
    const char *const *texts = NULL;
    size_t count = 0;
    if (!section_list(section, "accept_left_behind", &texts, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned what = 0;
        for (size_t j = 0; j < sizeof WORDS / sizeof WORDS[0]; j++)
            what |= strcmp(texts[i], WORDS[j].word) == 0 ? WORDS[j].what : 0;
        if (what == 0)
            return section_error(section, "accept_left_behind", NULL, err,
                                 "expected large_objects, unlogged_tables or sequences");
        cutover->accepted |= what;
    }
    return true;
}

static bool read_keys(const struct section *section, struct cutover_config *cutover, struct error *err) {
    static const char *const FENCES[] = {
        [FENCE_LOCKS] = "locks", [FENCE_READ_ONLY] = "read_only", [FENCE_EXTERNAL] = "external", NULL};
    static const char *const VERIFIES[] = {"none", "all", NULL};
    size_t fence = FENCE_LOCKS, verifies = 1;
    if (!section_word(section, "fence", FENCES, &fence, err) ||
        !section_word(section, "verify", VERIFIES, &verifies, err) ||
        !section_text(section, "on_flip", &cutover->on_flip, err))
        return false;
    cutover->fence = (enum cutover_fence) fence;
    cutover->verifies = verifies == 1;
    return read_outage(section, cutover, err) && read_left_behind(section, cutover, err);
}

bool config_read_cutover(const struct section *root, struct cutover_config *ret_cutover, struct error *err) {
    struct section section;
    *ret_cutover = (struct cutover_config){.outage_ms_max = OUTAGE_DEFAULT_MS, .verifies = true};
    return !section_has(root, "cutover") || (section_open(root, "cutover", &section, err) &&
                                             section_check(&section, CUTOVER_OPTIONS, NULL, NULL, err) &&
                                             read_keys(&section, ret_cutover, err));
}
