/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_schema.c - reads the section schema.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/config/config_read.h"

enum { JOBS_DEFAULT_MAX = 4, JOBS_MAX = 64 };

const struct option_spec SCHEMA_OPTIONS[] = {
    {"pg_dump", false,
     "path of the `pg_dump` that describes the schema; its major version must not be older than that of "
     "either server",
     OPTION_PATH, "the newest one in `/usr/lib/postgresql`, or, when that is too old, in `PATH`"},
    {"jobs", false, "how many indexes and constraints are built at the same time, 1 to 64", OPTION_TEXT,
     "the processors here, at most 4"},
    {"owners", false, "`yes`: objects get the owners that they have at the source; `no`: the target's role",
     OPTION_TEXT, "`yes`"},
    {"grants", false, "`yes`: rights and default rights move too", OPTION_TEXT, "`yes`"},
    {0},
};

static void default_schema(struct schema_config *schema) {
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *schema = (struct schema_config){.jobs = 1, .owners = true, .grants = true};
    if (processors > 1)
        schema->jobs = processors < JOBS_DEFAULT_MAX ? (size_t) processors : JOBS_DEFAULT_MAX;
}

static bool read_jobs(const struct section *section, struct schema_config *schema, struct error *err) {
    const char *text = NULL;
    if (!section_text(section, "jobs", &text, err))
        return false;
    if (text == NULL)
        return true;
    const size_t digits = strspn(text, "0123456789");
    schema->jobs = digits > 0 && digits < 4 && text[digits] == '\0' ? strtoul(text, NULL, 10) : 0;
    return schema->jobs >= 1 && schema->jobs <= JOBS_MAX
               ? true
               : section_error(section, "jobs", NULL, err, "expected a number from 1 to %d", JOBS_MAX);
}

static bool read_yes(const struct section *section, const char *key, bool *ret_yes, struct error *err) {
    static const char *const WORDS[] = {"no", "yes", NULL};
    size_t word = *ret_yes ? 1 : 0;
    if (!section_word(section, key, WORDS, &word, err))
        return false;
    *ret_yes = word == 1;
    return true;
}

bool config_read_schema(const struct section *root, struct schema_config *ret_schema, struct error *err) {
    struct section section;
    default_schema(ret_schema);
    return !section_has(root, "schema") ||
           (section_open(root, "schema", &section, err) &&
            section_check(&section, SCHEMA_OPTIONS, NULL, NULL, err) &&
            section_path(&section, "pg_dump", &ret_schema->pg_dump, err) &&
            read_jobs(&section, ret_schema, err) && read_yes(&section, "owners", &ret_schema->owners, err) &&
            read_yes(&section, "grants", &ret_schema->grants, err));
}
