/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_type.c - the portable types and the names of all, from pg_type of PostgreSQL 15; each has the same
 * OIDs and name in 14 to 18.
 */
#include "decoder/builtin_type.h"

#include <stddef.h>
#include <stdlib.h>

static const struct builtin_type {
    oid_t oid;
    oid_t array_oid;
} PORTABLE[] = {
    {16, 1000},   /* bool */
    {17, 1001},   /* bytea */
    {18, 1002},   /* char */
    {19, 1003},   /* name */
    {20, 1016},   /* int8 */
    {21, 1005},   /* int2 */
    {22, 1006},   /* int2vector */
    {23, 1007},   /* int4 */
    {25, 1009},   /* text */
    {26, 1028},   /* oid */
    {27, 1010},   /* tid */
    {28, 1011},   /* xid */
    {29, 1012},   /* cid */
    {30, 1013},   /* oidvector */
    {114, 199},   /* json */
    {600, 1017},  /* point */
    {601, 1018},  /* lseg */
    {602, 1019},  /* path */
    {603, 1020},  /* box */
    {604, 1027},  /* polygon */
    {628, 629},   /* line */
    {650, 651},   /* cidr */
    {700, 1021},  /* float4 */
    {701, 1022},  /* float8 */
    {718, 719},   /* circle */
    {774, 775},   /* macaddr8 */
    {790, 791},   /* money */
    {829, 1040},  /* macaddr */
    {869, 1041},  /* inet */
    {1042, 1014}, /* bpchar */
    {1043, 1015}, /* varchar */
    {1082, 1182}, /* date */
    {1083, 1183}, /* time */
    {1114, 1115}, /* timestamp */
    {1184, 1185}, /* timestamptz */
    {1266, 1270}, /* timetz */
    {1560, 1561}, /* bit */
    {1562, 1563}, /* varbit */
    {1700, 1231}, /* numeric */
    {1790, 2201}, /* refcursor */
    {2950, 2951}, /* uuid */
    {2970, 2949}, /* txid_snapshot */
    {3220, 3221}, /* pg_lsn */
    {3614, 3643}, /* tsvector */
    {3802, 3807}, /* jsonb */
    {3904, 3905}, /* int4range */
    {3906, 3907}, /* numrange */
    {3908, 3909}, /* tsrange */
    {3910, 3911}, /* tstzrange */
    {3912, 3913}, /* daterange */
    {3926, 3927}, /* int8range */
    {4072, 4073}, /* jsonpath */
    {4451, 6150}, /* int4multirange */
    {4532, 6151}, /* nummultirange */
    {4533, 6152}, /* tsmultirange */
    {4534, 6153}, /* tstzmultirange */
    {4535, 6155}, /* datemultirange */
    {4536, 6157}, /* int8multirange */
    {5038, 5039}, /* pg_snapshot */
    {5069, 271},  /* xid8 */
};

#define PORTABLE_COUNT (sizeof PORTABLE / sizeof *PORTABLE)

/* Ordered by OID. Pseudo-types are missing: no column can have one. */
static const struct named_type {
    oid_t oid;
    const char *name;
} NAMED[] = {
    {16, "bool"},
    {17, "bytea"},
    {18, "char"},
    {19, "name"},
    {20, "int8"},
    {21, "int2"},
    {22, "int2vector"},
    {23, "int4"},
    {24, "regproc"},
    {25, "text"},
    {26, "oid"},
    {27, "tid"},
    {28, "xid"},
    {29, "cid"},
    {30, "oidvector"},
    {71, "pg_type"},
    {75, "pg_attribute"},
    {81, "pg_proc"},
    {83, "pg_class"},
    {114, "json"},
    {142, "xml"},
    {143, "_xml"},
    {194, "pg_node_tree"},
    {199, "_json"},
    {210, "_pg_type"},
    {270, "_pg_attribute"},
    {271, "_xid8"},
    {272, "_pg_proc"},
    {273, "_pg_class"},
    {600, "point"},
    {601, "lseg"},
    {602, "path"},
    {603, "box"},
    {604, "polygon"},
    {628, "line"},
    {629, "_line"},
    {650, "cidr"},
    {651, "_cidr"},
    {700, "float4"},
    {701, "float8"},
    {718, "circle"},
    {719, "_circle"},
    {774, "macaddr8"},
    {775, "_macaddr8"},
    {790, "money"},
    {791, "_money"},
    {829, "macaddr"},
    {869, "inet"},
    {1000, "_bool"},
    {1001, "_bytea"},
    {1002, "_char"},
    {1003, "_name"},
    {1005, "_int2"},
    {1006, "_int2vector"},
    {1007, "_int4"},
    {1008, "_regproc"},
    {1009, "_text"},
    {1010, "_tid"},
    {1011, "_xid"},
    {1012, "_cid"},
    {1013, "_oidvector"},
    {1014, "_bpchar"},
    {1015, "_varchar"},
    {1016, "_int8"},
    {1017, "_point"},
    {1018, "_lseg"},
    {1019, "_path"},
    {1020, "_box"},
    {1021, "_float4"},
    {1022, "_float8"},
    {1027, "_polygon"},
    {1028, "_oid"},
    {1033, "aclitem"},
    {1034, "_aclitem"},
    {1040, "_macaddr"},
    {1041, "_inet"},
    {1042, "bpchar"},
    {1043, "varchar"},
    {1082, "date"},
    {1083, "time"},
    {1114, "timestamp"},
    {1115, "_timestamp"},
    {1182, "_date"},
    {1183, "_time"},
    {1184, "timestamptz"},
    {1185, "_timestamptz"},
    {1186, "interval"},
    {1187, "_interval"},
    {1231, "_numeric"},
    {1248, "pg_database"},
    {1263, "_cstring"},
    {1266, "timetz"},
    {1270, "_timetz"},
    {1560, "bit"},
    {1561, "_bit"},
    {1562, "varbit"},
    {1563, "_varbit"},
    {1700, "numeric"},
    {1790, "refcursor"},
    {2201, "_refcursor"},
    {2202, "regprocedure"},
    {2203, "regoper"},
    {2204, "regoperator"},
    {2205, "regclass"},
    {2206, "regtype"},
    {2207, "_regprocedure"},
    {2208, "_regoper"},
    {2209, "_regoperator"},
    {2210, "_regclass"},
    {2211, "_regtype"},
    {2842, "pg_authid"},
    {2843, "pg_auth_members"},
    {2949, "_txid_snapshot"},
    {2950, "uuid"},
    {2951, "_uuid"},
    {2970, "txid_snapshot"},
    {3220, "pg_lsn"},
    {3221, "_pg_lsn"},
    {3361, "pg_ndistinct"},
    {3402, "pg_dependencies"},
    {3614, "tsvector"},
    {3615, "tsquery"},
    {3642, "gtsvector"},
    {3643, "_tsvector"},
    {3644, "_gtsvector"},
    {3645, "_tsquery"},
    {3734, "regconfig"},
    {3735, "_regconfig"},
    {3769, "regdictionary"},
    {3770, "_regdictionary"},
    {3802, "jsonb"},
    {3807, "_jsonb"},
    {3904, "int4range"},
    {3905, "_int4range"},
    {3906, "numrange"},
    {3907, "_numrange"},
    {3908, "tsrange"},
    {3909, "_tsrange"},
    {3910, "tstzrange"},
    {3911, "_tstzrange"},
    {3912, "daterange"},
    {3913, "_daterange"},
    {3926, "int8range"},
    {3927, "_int8range"},
    {4066, "pg_shseclabel"},
    {4072, "jsonpath"},
    {4073, "_jsonpath"},
    {4089, "regnamespace"},
    {4090, "_regnamespace"},
    {4096, "regrole"},
    {4097, "_regrole"},
    {4191, "regcollation"},
    {4192, "_regcollation"},
    {4451, "int4multirange"},
    {4532, "nummultirange"},
    {4533, "tsmultirange"},
    {4534, "tstzmultirange"},
    {4535, "datemultirange"},
    {4536, "int8multirange"},
    {4600, "pg_brin_bloom_summary"},
    {4601, "pg_brin_minmax_multi_summary"},
    {5017, "pg_mcv_list"},
    {5038, "pg_snapshot"},
    {5039, "_pg_snapshot"},
    {5069, "xid8"},
    {6101, "pg_subscription"},
    {6150, "_int4multirange"},
    {6151, "_nummultirange"},
    {6152, "_tsmultirange"},
    {6153, "_tstzmultirange"},
    {6155, "_datemultirange"},
    {6157, "_int8multirange"},
};

/* Called once per column of a new relation, so a linear search is fast enough. */
static const struct builtin_type *builtin_type_search(oid_t type_oid) {
    for (size_t i = 0; i < PORTABLE_COUNT; i++)
        if (PORTABLE[i].oid == type_oid)
            return &PORTABLE[i];
    return NULL;
}

bool builtin_type_is_array(oid_t type_oid) {
    for (size_t i = 0; i < PORTABLE_COUNT; i++)
        if (PORTABLE[i].array_oid == type_oid)
            return true;
    return false;
}

bool builtin_type_is_portable(oid_t type_oid) {
    return builtin_type_search(type_oid) != NULL || builtin_type_is_array(type_oid);
}

oid_t builtin_type_array(oid_t type_oid) {
    const struct builtin_type *type = builtin_type_search(type_oid);
    return type != NULL ? type->array_oid : 0;
}

static int compare_oids(const void *key, const void *named) {
    oid_t oid = *(const oid_t *) key, other = ((const struct named_type *) named)->oid;
    return (oid > other) - (oid < other);
}

const char *builtin_type_name(oid_t type_oid) {
    const struct named_type *type =
        bsearch(&type_oid, NAMED, sizeof NAMED / sizeof *NAMED, sizeof *NAMED, compare_oids);
    return type != NULL ? type->name : NULL;
}

oid_t builtin_type_find(struct slice name) {
    for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++)
        if (slice_equal(slice_of(NAMED[i].name), name))
            return NAMED[i].oid;
    return 0;
}
