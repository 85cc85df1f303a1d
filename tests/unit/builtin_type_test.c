/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_type_test.c - names, whose binary form may be handed on, and whose may not; and that a real catalog
 * agrees, when PGCDC_TEST_DSN names one.
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdlib.h>

#include "cdc/base/attributes.h"
#include "decoder/builtin_type.h"

Test(builtin_type, ordinary_types_and_their_arrays_are_portable) {
    static const oid_t ORDINARY[] = {16,  17,   20,   21,   23,   25,   114,  700, 701,
                                     790, 1042, 1043, 1082, 1184, 1700, 2950, 3802};
    for (size_t i = 0; i < sizeof ORDINARY / sizeof *ORDINARY; i++) {
        cr_assert(builtin_type_is_portable(ORDINARY[i]), "type %u", ORDINARY[i]);
        cr_assert_not(builtin_type_is_array(ORDINARY[i]), "type %u", ORDINARY[i]);
        oid_t array = builtin_type_array(ORDINARY[i]);
        cr_assert(builtin_type_is_portable(array), "the array of type %u", ORDINARY[i]);
        cr_assert(builtin_type_is_array(array), "the array of type %u", ORDINARY[i]);
        cr_assert_eq(builtin_type_array(array), 0, "an array of arrays is the same type");
    }
}

Test(builtin_type, types_that_name_objects_of_their_cluster_are_not) {
    static const oid_t REG[] = {24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191};
    for (size_t i = 0; i < sizeof REG / sizeof *REG; i++)
        cr_assert_not(builtin_type_is_portable(REG[i]), "type %u", REG[i]);
}

Test(builtin_type, types_whose_binary_form_differs_are_not) {
    cr_assert_not(builtin_type_is_portable(142), "xml");
    cr_assert_not(builtin_type_is_portable(1186), "interval");
    cr_assert_not(builtin_type_is_portable(1187), "interval[]");
    cr_assert_not(builtin_type_is_portable(1033), "aclitem");
    cr_assert_not(builtin_type_is_portable(3615), "tsquery");
}

Test(builtin_type, user_defined_and_absent_types_are_not) {
    cr_assert_not(builtin_type_is_portable(0));
    cr_assert_not(builtin_type_is_array(0));
    cr_assert_not(builtin_type_is_portable(16384));
    cr_assert_not(builtin_type_is_portable(UINT32_MAX));
    cr_assert_eq(builtin_type_array(16384), 0);
}

Test(builtin_type, names_are_those_of_the_catalog) {
    cr_assert_str_eq(builtin_type_name(16), "bool");
    cr_assert_str_eq(builtin_type_name(1009), "_text");
    cr_assert_str_eq(builtin_type_name(6157), "_int8multirange");
    cr_assert_null(builtin_type_name(0));
    cr_assert_null(builtin_type_name(15));
    cr_assert_null(builtin_type_name(16384));
    cr_assert_eq(builtin_type_find(slice_of("_int8multirange")), 6157);
    cr_assert_eq(builtin_type_find(slice_of("mood")), 0);
}

static void finish(PGconn **conn) {
    PQfinish(*conn);
}

static void clear(PGresult **result) {
    PQclear(*result);
}

static oid_t oid_at(const PGresult *result, int row, int column) {
    return (oid_t) strtoul(PQgetvalue(result, row, column), NULL, 10);
}

/* Types that can be sent and received, with their arrays; what refers to objects by OID is none of ours. */
static const char CATALOG[] =
    "select oid, typarray, typname from pg_type where oid < 16384 and typsend <> 0 and "
    "typreceive <> 0 and typtype in ('b', 'r', 'm') and typarray <> 0 and typname !~ '^reg'";

Test(builtin_type, the_catalog_agrees) {
    if (getenv("PGCDC_TEST_DSN") == NULL)
        cr_skip_test("PGCDC_TEST_DSN is not set");
    AUTO(finish) PGconn *conn = PQconnectdb(getenv("PGCDC_TEST_DSN"));
    AUTO(clear) PGresult *types = PQexec(conn, CATALOG);
    cr_assert_eq(PQresultStatus(types), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    int portable_count = 0, known_count = 0;
    for (int row = 0; row < PQntuples(types); row++) {
        oid_t type = oid_at(types, row, 0);
        if (!builtin_type_is_portable(type))
            continue;
        known_count++;
        cr_assert_eq(builtin_type_array(type), oid_at(types, row, 1), "%s", PQgetvalue(types, row, 2));
    }
    for (oid_t type = 0; type < 16384; type++)
        portable_count += builtin_type_is_portable(type) && !builtin_type_is_array(type);
    cr_assert_eq(portable_count, known_count, "a type of ours is not in the catalog");
    cr_assert_gt(known_count, 50);
}

/*
 * What a column can be of. From 10000 on the server says the names itself, because OIDs differ between
 * versions there.
 */
static const char COLUMN_TYPES[] =
    "select oid, typname from pg_type where oid < 10000 and typtype <> 'p' and "
    "typnamespace = 'pg_catalog'::regnamespace";

Test(builtin_type, every_type_of_the_catalog_is_known_by_name) {
    if (getenv("PGCDC_TEST_DSN") == NULL)
        cr_skip_test("PGCDC_TEST_DSN is not set");
    AUTO(finish) PGconn *conn = PQconnectdb(getenv("PGCDC_TEST_DSN"));
    AUTO(clear) PGresult *types = PQexec(conn, COLUMN_TYPES);
    cr_assert_eq(PQresultStatus(types), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    for (int row = 0; row < PQntuples(types); row++) {
        const char *name = builtin_type_name(oid_at(types, row, 0));
        cr_assert_not_null(name, "%s", PQgetvalue(types, row, 1));
        cr_assert_str_eq(name, PQgetvalue(types, row, 1));
    }
    int known = 0;
    for (oid_t type = 0; type < 10000; type++)
        known += builtin_type_name(type) != NULL;
    cr_assert_eq(known, PQntuples(types), "a name of ours is not in the catalog");
}
