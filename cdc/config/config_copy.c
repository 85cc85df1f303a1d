/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_copy.c - reads the section copy.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/config/config_read.h"

enum { WORKERS_DEFAULT_MAX = 4, WORKERS_MAX = 64 };

#define CHUNK_BYTES_DEFAULT ((uint64_t) 64 << 20)
#define CHUNK_BYTES_MAX ((uint64_t) 64 << 30)

const struct option_spec COPY_OPTIONS[] = {
    {"mode", false,
     "`live`: changes are applied while tables are copied in chunks, and an interrupted copy continues; "
     "`simple`: one transaction of the target, which shows all rows at once",
     OPTION_TEXT, "`live`"},
    {"new_tables", false,
     "a published table that a `postgres` sink lacks, or whose old rows a sink lacks: `copy` creates and "
     "copies "
     "it, "
     "`stream` applies its changes only, `stop` stops the pipeline with the remedy",
     OPTION_TEXT, "`copy`; `stop` with mode `simple`"},
    {"workers", false, "how many chunks are copied at the same time, 1 to 64", OPTION_TEXT,
     "the processors here, at most 4"},
    {"chunk_bytes", false, "the size of a chunk, on the source's disk", OPTION_TEXT, "`64MB`"},
    {0},
};

static void set_defaults(struct copy_config *copy) {
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *copy = (struct copy_config){.mode = COPY_MODE_LIVE,
                                 .new_tables = NEW_TABLES_COPY,
                                 .workers = 1,
                                 .chunk_bytes = CHUNK_BYTES_DEFAULT};
    if (processors > 1)
        copy->workers = processors < WORKERS_DEFAULT_MAX ? (size_t) processors : WORKERS_DEFAULT_MAX;
}

static bool read_mode(const struct section *section, struct copy_config *copy, struct error *err) {
    static const char *const MODES[] = {[COPY_MODE_SIMPLE] = "simple", [COPY_MODE_LIVE] = "live", NULL};
    static const char *const NEW_TABLES[] = {
        [NEW_TABLES_COPY] = "copy", [NEW_TABLES_STREAM] = "stream", [NEW_TABLES_STOP] = "stop", NULL};
    size_t mode = copy->mode;
    if (!section_word(section, "mode", MODES, &mode, err))
        return false;
    copy->mode = (enum copy_mode) mode;
    size_t new_tables = copy->mode == COPY_MODE_LIVE ? NEW_TABLES_COPY : NEW_TABLES_STOP;
    if (!section_word(section, "new_tables", NEW_TABLES, &new_tables, err))
        return false;
    copy->new_tables = (enum new_tables) new_tables;
    return true;
}

static bool read_workers(const struct section *section, struct copy_config *copy, struct error *err) {
    const char *text = NULL;
    if (!section_text(section, "workers", &text, err))
        return false;
    if (text == NULL)
        return true;
    const size_t digits = strspn(text, "0123456789");
    copy->workers = digits > 0 && digits < 4 && text[digits] == '\0' ? strtoul(text, NULL, 10) : 0;
    return copy->workers >= 1 && copy->workers <= WORKERS_MAX
               ? true
               : section_error(section, "workers", NULL, err, "expected a number from 1 to %d", WORKERS_MAX);
}

static bool read_chunk_bytes(const struct section *section, struct copy_config *copy, struct error *err) {
    const char *text = NULL;
    if (!section_text(section, "chunk_bytes", &text, err))
        return false;
    if (text == NULL)
        return true;
    return amount_parse_bytes(text, &copy->chunk_bytes) && copy->chunk_bytes <= CHUNK_BYTES_MAX
               ? true
               : section_error(section, "chunk_bytes", NULL, err,
                               "expected a whole number and a unit, kB, MB or GB, at most 64GB: 64MB");
}

bool config_read_copy(const struct section *root, struct copy_config *ret_copy, struct error *err) {
    struct section section;
    set_defaults(ret_copy);
    return !section_has(root, "copy") ||
           (section_open(root, "copy", &section, err) &&
            section_check(&section, COPY_OPTIONS, NULL, NULL, err) && read_mode(&section, ret_copy, err) &&
            read_workers(&section, ret_copy, err) && read_chunk_bytes(&section, ret_copy, err));
}
