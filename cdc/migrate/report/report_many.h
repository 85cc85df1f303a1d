/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_many.h - one report over all databases of a file.
 */
#pragma once

#include "cdc/migrate/report/report.h"

struct report_many {
    const struct config *config; /* the file's */
    const char *pgcdc;
    const atomic_bool *stop;
    bool is_json;
    const char *html_path; /* or NULL */
};

/*
 * Prints it to standard output: {"report": {"pipeline": …, "closes": …, "databases": [the report of each]},
 * "sha256": …}, or for people. False: it could not be made; a database that cannot be read is open instead.
 */
MUST_CHECK bool report_many(const struct report_many *options, bool *ret_closes, struct error *err);
