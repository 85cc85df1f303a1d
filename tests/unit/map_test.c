/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oid_map_test.c - the map against a plain array.
 */
#include <criterion/criterion.h>

#include "decoder/oid_map.h"
#include "tests/support/random.h"

Test(oid_map, an_empty_map_finds_nothing) {
    AUTO(oid_map_release) struct oid_map map = {0};
    cr_assert_null(oid_map_find(&map, 0));
    cr_assert_null(oid_map_find(&map, 16384));
}

Test(oid_map, an_object_is_found_and_replaced) {
    AUTO(oid_map_release) struct oid_map map = {0};
    int first = 1, second = 2;
    cr_assert(oid_map_put(&map, 16384, &first));
    cr_assert_eq(oid_map_find(&map, 16384), &first);
    cr_assert(oid_map_put(&map, 16384, &second));
    cr_assert_eq(oid_map_find(&map, 16384), &second);
    cr_assert_eq(map.count, 1);
}

#define OIDS 5000

Test(oid_map, random_programs_agree_with_an_array) {
    struct random random = random_start("oid_map");
    static char objects[OIDS];
    for (int program = 0; program < 20; program++) {
        AUTO(oid_map_release) struct oid_map map = {0};
        const char *model[OIDS] = {0};
        uint32_t stride = 1 + random_below(&random, 1 << 18); /* neighbours, or far apart */
        uint32_t range = 1 + random_below(&random, OIDS);
        for (int step = 0; step < 5000; step++) {
            uint32_t at = random_below(&random, range);
            if (random_below(&random, 2) == 0) {
                model[at] = &objects[random_below(&random, OIDS)];
                cr_assert(oid_map_put(&map, at * stride, model[at]));
            }
            cr_assert_eq(oid_map_find(&map, at * stride), model[at]);
        }
        for (uint32_t at = 0; at < range; at++)
            cr_assert_eq(oid_map_find(&map, at * stride), model[at]);
    }
}
