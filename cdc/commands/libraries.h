/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libraries.h - the libraries that the program uses: the version it was built with, and the one that runs.
 *
 * They differ after an upgrade of a library. A report of a fault needs the second.
 */
#pragma once

#include <stddef.h>

enum { LIBRARY_VERSION_MAX = 64 };

struct library {
    const char *name;                                    /* "libpq" */
    const char *built;                                   /* "15.18"; NULL: the program was built without it */
    void (*put_running)(char text[LIBRARY_VERSION_MAX]); /* writes the version of the one that runs */
};

/* NULL after the last. */
const struct library *library_at(size_t index);
