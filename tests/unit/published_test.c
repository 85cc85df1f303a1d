/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published_test.c - what was published is read as it was written, or not at all.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cdc/engine/published.h"

static char directory[64];

static void prepare(void) {
    snprintf(directory, sizeof directory, "/tmp/pgcdc_published_XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void release(void) {
    struct error err = {0};
    cr_assert(published_remove(directory, "shop", &err), "%s", err.text);
    cr_assert_eq(rmdir(directory), 0, "nothing else was left in the directory");
}

TestSuite(published, .init = prepare, .fini = release);

static struct published read_back(void) {
    struct published published;
    struct error err = {0};
    cr_assert(published_read(directory, "shop", &published, &err), "%s", err.text);
    return published;
}

Test(published, comes_back) {
    struct published published = {0};
    struct error err = {0};
    cr_assert(xid_snapshot_parse("740:745:741,743", &published.snapshot));
    cr_assert(published_note(&published, 16390, &err) && published_note(&published, 16391, &err));
    cr_assert(published_note(&published, 16390, &err), "a second time");
    cr_assert(published_write(directory, "shop", &published, &err), "%s", err.text);
    struct published back = read_back();
    cr_assert(xid_snapshot_covers(&back.snapshot, &published.snapshot));
    cr_assert(xid_snapshot_covers(&published.snapshot, &back.snapshot));
    cr_assert_eq(back.table_count, 2);
    published_forget(&back, 16390);
    cr_assert(published_has(&back, 16391) && !published_has(&back, 16390));
    published_release(&back);
    published_release(&published);
}

Test(published, nothing_is_known_without_a_whole_file) {
    static const char *const TEXTS[] = {"", "pgcdc published 2\nend\n",
                                        "pgcdc published 1\nsnapshot 740 745\ntable 7\n",
                                        "pgcdc published 1\nsnapshot 1 2\nsnapshot 3 4\nend\n"};
    char path[128];
    snprintf(path, sizeof path, "%s/shop.published", directory);
    cr_assert_eq(read_back().snapshot.xmax, 0, "no file");
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file);
        fputs(TEXTS[i], file);
        fclose(file);
        const struct published published = read_back();
        cr_assert_eq(published.snapshot.xmax, 0, "%s", TEXTS[i]);
        cr_assert_eq(published.table_count, 0, "%s", TEXTS[i]);
    }
}
