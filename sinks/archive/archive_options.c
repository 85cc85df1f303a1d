/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_options.c - their values, and what they may be.
 */
#include "sinks/archive/archive_options.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"

#define SEGMENT_BYTES_DEFAULT ((uint64_t) 256 << 20)
#define SEGMENT_BYTES_MIN ((uint64_t) 64 << 10)
#define SEGMENT_MS_DEFAULT ((int64_t) 24 * 3600 * 1000)

enum { LEVEL_DEFAULT = 1, LEVEL_MAX = 19 };

const struct option_spec ARCHIVE_OPTIONS[] = {
    {"path", true, "the directory of its segment files; it is created if its parent exists", OPTION_PATH,
     NULL},
    {"level", false, "zstd's level of compression, 1 to 19", OPTION_TEXT, "`1`", .reloads = true},
    {"segment_bytes", false, "a segment file that is larger is closed, and the next one begins", OPTION_TEXT,
     "`256MB`", .reloads = true},
    {"segment_age", false, "likewise one that was begun so long ago: `10m`, `1h`, `1d`", OPTION_TEXT, "`1d`",
     .reloads = true},
    {"keep_bytes", false, "old segment files are deleted while all of them are larger", OPTION_TEXT, "all",
     .reloads = true},
    {"keep_age", false, "likewise one that was closed so long ago: `7d`", OPTION_TEXT, "all",
     .reloads = true},
    {"max_bytes", false, "a larger archive takes no more changes until old segment files are gone",
     OPTION_TEXT, "the disk's size", .reloads = true},
    {"keep_segments", false, "likewise while there are more files than this number", OPTION_TEXT, "all",
     .reloads = true},
    {0},
};

static bool complain_of(const char *key, const char *expected, struct error *err) {
    error_set(err, ERROR_CONFIG, "%s: expected %s", key, expected);
    return error_option(err, key);
}

static bool read_level(const struct sink_config *config, struct archive_options *options, struct error *err) {
    const char *text = sink_config_find(config, "level");
    options->level = LEVEL_DEFAULT;
    if (text == NULL)
        return true;
    const size_t digits = strspn(text, "0123456789");
    options->level = digits > 0 && digits < 3 && text[digits] == '\0' ? (int) strtol(text, NULL, 10) : 0;
    return (options->level >= 1 && options->level <= LEVEL_MAX) ||
           complain_of("level", "a number from 1 to 19", err);
}

static bool read_segment_bytes(const struct sink_config *config, struct archive_options *options,
                               struct error *err) {
    const char *text = sink_config_find(config, "segment_bytes");
    options->segment_bytes = SEGMENT_BYTES_DEFAULT;
    return text == NULL ||
           (amount_parse_bytes(text, &options->segment_bytes) &&
            options->segment_bytes >= SEGMENT_BYTES_MIN) ||
           complain_of("segment_bytes", "a whole number and a unit, kB, MB or GB, at least 64kB: 256MB", err);
}

static bool read_max_bytes(const struct sink_config *config, struct archive_options *options,
                           struct error *err) {
    const char *text = sink_config_find(config, "max_bytes");
    return text == NULL ||
           (amount_parse_bytes(text, &options->bytes_max) &&
            options->bytes_max >= 2 * options->segment_bytes) ||
           complain_of("max_bytes", "a whole number and a unit, kB, MB or GB, at least twice segment_bytes",
                       err);
}

static bool read_segment_age(const struct sink_config *config, struct archive_options *options,
                             struct error *err) {
    const char *text = sink_config_find(config, "segment_age");
    options->segment_ms = SEGMENT_MS_DEFAULT;
    return text == NULL || amount_parse_duration(text, &options->segment_ms) ||
           complain_of("segment_age", "a duration like 10m, 1h or 1d", err);
}

static bool read_retention(const struct sink_config *config, struct retention *retention, struct error *err) {
    const char *bytes = sink_config_find(config, "keep_bytes");
    const char *age = sink_config_find(config, "keep_age");
    const char *segments = sink_config_find(config, "keep_segments");
    if (bytes != NULL && !amount_parse_bytes(bytes, &retention->bytes_max))
        return complain_of("keep_bytes", "a whole number and a unit, kB, MB or GB: 20GB", err);
    if (age != NULL && !amount_parse_duration(age, &retention->age_ms_max))
        return complain_of("keep_age", "a duration like 12h or 7d", err);
    if (segments == NULL)
        return true;
    const size_t digits = strspn(segments, "0123456789");
    if (digits > 0 && digits < 9 && segments[digits] == '\0')
        retention->segments_max = strtoull(segments, NULL, 10);
    return retention->segments_max > 0 || complain_of("keep_segments", "a number from 1 on", err);
}

bool archive_options_read(const struct sink_config *config, struct archive_options *ret_options,
                          struct error *err) {
    *ret_options = (struct archive_options){.path = sink_config_find(config, "path")};
    if (ret_options->path == NULL)
        return complain_of("path", "a directory", err);
    return read_level(config, ret_options, err) && read_segment_bytes(config, ret_options, err) &&
           read_max_bytes(config, ret_options, err) && read_segment_age(config, ret_options, err) &&
           read_retention(config, &ret_options->retention, err);
}
