/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_type.c - the portable types, from pg_type of PostgreSQL 15; each has the same OIDs in 14 to 18.
 */
#include "decoder/builtin_type.h"

#include <stddef.h>

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

/* Asked once a column of a new relation, so a walk is fast enough. */
static const struct builtin_type *find(oid_t type_oid) {
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
    return find(type_oid) != NULL || builtin_type_is_array(type_oid);
}

oid_t builtin_type_array(oid_t type_oid) {
    const struct builtin_type *type = find(type_oid);
    return type != NULL ? type->array_oid : 0;
}
