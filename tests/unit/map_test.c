/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_test.c - the map against a plain array.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/map.h"
#include "tests/support/random.h"

Test(map, an_empty_map_finds_nothing) {
    AUTO(map_release) struct map map = {0};
    cr_assert_null(map_find_number(&map, 0));
    cr_assert_null(map_find_number(&map, 16384));
}

Test(map, an_object_is_found_and_replaced) {
    AUTO(map_release) struct map map = {0};
    int first = 1, second = 2;
    cr_assert(map_put_number(&map, 16384, &first));
    cr_assert_eq(map_find_number(&map, 16384), &first);
    cr_assert(map_put_number(&map, 16384, &second));
    cr_assert_eq(map_find_number(&map, 16384), &second);
    cr_assert_eq(map.count, 1);
}

#define OIDS 5000

Test(map, random_programs_agree_with_an_array) {
    struct random random = random_start("map");
    static char objects[OIDS];
    for (int program = 0; program < 20; program++) {
        AUTO(map_release) struct map map = {0};
        char *model[OIDS] = {0};
        uint32_t stride = 1 + random_below(&random, 1 << 18); /* neighbours, or far apart */
        uint32_t range = 1 + random_below(&random, OIDS);
        for (int step = 0; step < 5000; step++) {
            uint32_t at = random_below(&random, range);
            if (random_below(&random, 2) == 0) {
                model[at] = &objects[random_below(&random, OIDS)];
                cr_assert(map_put_number(&map, at * stride, model[at]));
            }
            cr_assert_eq(map_find_number(&map, at * stride), model[at]);
        }
        for (uint32_t at = 0; at < range; at++)
            cr_assert_eq(map_find_number(&map, at * stride), model[at]);
    }
}

/* Texts of few hashes, so that most of them share theirs. */
static bool is_text(const void *object, const void *key) {
    return strcmp(object, key) == 0;
}

Test(map, keys_with_one_hash_are_told_apart) {
    AUTO(map_release) struct map map = {0};
    static char texts[1000][8];
    for (int i = 0; i < 1000; i++) {
        snprintf(texts[i], sizeof texts[i], "%d", i);
        cr_assert_null(map_find(&map, (uint64_t) i % 7, is_text, texts[i]));
        cr_assert(map_put(&map, (uint64_t) i % 7, is_text, texts[i], texts[i]));
    }
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(map_find(&map, (uint64_t) i % 7, is_text, texts[i]), texts[i]);
    cr_assert_null(map_find(&map, 8, is_text, texts[1]), "the hash counts");
    cr_assert_eq(map.count, 1000);
}

Test(map, each_object_is_visited_until_a_reset) {
    AUTO(map_release) struct map map = {0};
    int objects[100] = {0};
    size_t visited = 0;
    for (uint64_t i = 0; i < 100; i++)
        cr_assert(map_put_number(&map, i << 32, &objects[i]));
    for (size_t i = 0; i < map_slots(&map); i++)
        if (map_at(&map, i) != NULL)
            ++*(int *) map_at(&map, i);
    for (size_t i = 0; i < 100; i++)
        visited += objects[i] == 1;
    cr_assert_eq(visited, 100);
    map_reset(&map);
    cr_assert_eq(map.count, 0);
    cr_assert_null(map_find_number(&map, 0));
}
