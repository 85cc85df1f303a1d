/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verified_test.c - what was proven is read as it was written, or not at all.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/engine/verified.h"

struct scene {
    char directory[64];
    char path[128];
    struct arena arena;
};

static struct scene new_scene(void) {
    struct scene scene = {.directory = "/tmp/pgcdc_verified_XXXXXX"};
    cr_assert_not_null(mkdtemp(scene.directory));
    snprintf(scene.path, sizeof scene.path, "%s/shop.warehouse.verify", scene.directory);
    arena_init(&scene.arena, 4096, 1 << 20);
    return scene;
}

static void remove_scene(struct scene *scene) {
    struct error err = {0};
    cr_assert(verified_remove(scene->directory, "shop", "warehouse", VERIFIED_BY_COMMAND, &err), "%s",
              err.text);
    arena_release(&scene->arena);
    cr_assert_eq(rmdir(scene->directory), 0, "nothing else was left in the directory");
}

static struct verified read_back(struct scene *scene) {
    struct verified verified;
    verified_read(scene->directory, "shop", "warehouse", VERIFIED_BY_COMMAND, &scene->arena, &verified);
    return verified;
}

static void write_tables(struct scene *scene, struct verified_table *tables, size_t count) {
    struct error err = {0};
    const struct verified verified = {.tables = tables, .count = count};
    cr_assert(verified_write(scene->directory, "shop", "warehouse", VERIFIED_BY_COMMAND, &verified, &err),
              "%s", err.text);
}

static void write_text(const struct scene *scene, const char *text) {
    FILE *file = fopen(scene->path, "we");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

Test(verified, all_of_it_is_read_back) {
    struct scene scene = new_scene();
    struct verified_range ranges[] = {
        {.high = "a b\n",
         .state = VERIFIED_EQUAL,
         .lsn = 0x116B3748,
         .at_us = 17,
         .source_rows = 3,
         .target_rows = 4,
         .source_hash = INT64_MAX - 1,
         .target_hash = 6,
         .narrowed_rows = 5},
        {.low = "a b\n", .state = VERIFIED_DIFFERENT, .missing = 1, .extra = 2, .different = 3},
    };
    struct verified_range whole[] = {{0}};
    struct verified_table tables[] = {
        {.oid = 4000000000u,
         .schema = "public",
         .name = "odd \"name\"",
         .column = "id",
         .definition = UINT64_MAX,
         .equal_us = 99,
         .equal_lsn = 7,
         .ranges = ranges,
         .range_count = 2},
        {.oid = 5, .schema = "s", .name = "t", .column = "", .ranges = whole, .range_count = 1},
    };
    write_tables(&scene, tables, 2);
    const struct verified verified = read_back(&scene);
    cr_assert_eq(verified.count, 2);
    const struct verified_table *table = verified_find(&verified, 4000000000u);
    cr_assert_not_null(table);
    cr_assert_str_eq(table->name, "odd \"name\"");
    cr_assert_str_eq(table->column, "id");
    cr_assert_eq(table->definition, UINT64_MAX);
    cr_assert_eq(table->equal_us, 99);
    cr_assert_null(table->ranges[0].low);
    cr_assert_str_eq(table->ranges[0].high, "a b\n");
    cr_assert_eq(table->ranges[0].lsn, 0x116B3748u);
    cr_assert_eq(table->ranges[0].narrowed_rows, 5);
    cr_assert_eq(table->ranges[0].source_hash, INT64_MAX - 1);
    cr_assert_eq(table->ranges[0].target_hash, 6);
    cr_assert_eq(verified_count(table, VERIFIED_DIFFERENT), 1);
    cr_assert_eq(verified_sum(table).different, 3);
    cr_assert_str_eq(verified_find(&verified, 5)->column, "");
    remove_scene(&scene);
}

Test(verified, a_table_with_a_long_bound_is_left_out) {
    struct scene scene = new_scene();
    char bound[400];
    memset(bound, 'x', sizeof bound - 1);
    bound[sizeof bound - 1] = '\0';
    struct verified_range ranges[] = {{.high = bound}, {.low = bound}}, whole[] = {{0}};
    struct verified_table tables[] = {
        {.oid = 1, .schema = "s", .name = "long", .column = "id", .ranges = ranges, .range_count = 2},
        {.oid = 2, .schema = "s", .name = "short", .column = "", .ranges = whole, .range_count = 1},
    };
    write_tables(&scene, tables, 2);
    const struct verified verified = read_back(&scene);
    cr_assert_eq(verified.count, 1);
    cr_assert_not_null(verified_find(&verified, 2));
    remove_scene(&scene);
}

#define TABLE "table 1 ff 0 0/0 2 73 74 6964\n"
#define RANGE "range 1 0/10 5 1 1 8 8 0 0 0 0 - 39\n"

Test(verified, what_is_not_whole_counts_as_missing) {
    static const char *const BAD[] = {
        "",
        "pgcdc verified 2\n",
        "pgcdc verified 2\nend\n",
        "pgcdc verified 2\n" TABLE RANGE RANGE,
        "pgcdc verified 2\n" TABLE RANGE "end\n",
        "pgcdc verified 2\n" TABLE RANGE RANGE RANGE "end\n",
        "pgcdc verified 2\n" RANGE "end\n",
        "pgcdc verified 2\n" TABLE RANGE "range 3 0/10 5 1 1 8 8 0 0 0 0 39 -\nend\n",
        "pgcdc verified 2\n" TABLE RANGE "range 1 0/10 5 1 1 8 8 0 0 0 0 3 -\nend\n",
        "pgcdc verified 2\n" TABLE RANGE "range 1 0/10 5 1 1 8 8 0 0 0 0 3g -\nend\n",
        "pgcdc verified 2\n" TABLE RANGE "range 1 0/10 5 1 1 8 8 0 0 0 0 00 -\nend\n",
        "pgcdc verified 2\ntable 1 ff 0 0/0 99999999 73 74 6964\nend\n",
        "pgcdc verified 2\nodd\n" TABLE RANGE RANGE "end\n",
    };
    struct scene scene = new_scene();
    cr_assert_eq(read_back(&scene).count, 0, "there is no file");
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        write_text(&scene, BAD[i]);
        cr_assert_eq(read_back(&scene).count, 0, "%s", BAD[i]);
    }
    write_text(&scene, "pgcdc verified 2\n" TABLE RANGE RANGE "end\n");
    cr_assert_eq(read_back(&scene).count, 1);
    remove_scene(&scene);
}

Test(verified, a_table_is_proven_since_its_oldest_comparison) {
    struct verified_range ranges[] = {{.state = VERIFIED_EQUAL, .at_us = 30, .lsn = 3},
                                      {.state = VERIFIED_UNKNOWN},
                                      {.state = VERIFIED_EQUAL, .at_us = 20, .lsn = 2}};
    struct verified_table table = {.ranges = ranges, .range_count = 3};
    verified_conclude(&table);
    cr_assert_eq(table.equal_us, 0, "a range was never compared");
    ranges[1] = (struct verified_range){.state = VERIFIED_EQUAL, .at_us = 40, .lsn = 4};
    verified_conclude(&table);
    cr_assert_eq(table.equal_us, 20);
    cr_assert_eq(table.equal_lsn, 2);
    ranges[2].state = VERIFIED_DIFFERENT;
    verified_conclude(&table);
    cr_assert_eq(table.equal_us, 20, "when it last was");
}
