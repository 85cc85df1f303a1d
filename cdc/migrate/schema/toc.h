/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toc.h - the table of contents of an archive that pg_dump wrote in its custom format.
 *
 * The contents are binary: each text has its length, so a name or a definition may contain anything. Nothing
 * is found by looking for words in SQL.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

enum toc_section { TOC_NONE = 1, TOC_PRE_DATA, TOC_DATA, TOC_POST_DATA };

struct toc_entry {
    int id;             /* of the entry in this archive */
    const char *kind;   /* "TABLE", "FK CONSTRAINT" */
    const char *schema; /* "": in no schema */
    const char *name;   /* "t"; "f(integer)"; of an object in a table "t t_pkey" */
    const char *owner;  /* "": none */
    const char *sql;    /* one or more statements */
    const char *drop;   /* "DROP FUNCTION ...;\n" */
    const char *method; /* of a table: its access method, or "" */
    enum toc_section section;
    const int *needs; /* ids of entries, some of which the archive may not have */
    size_t need_count;
};

struct toc {
    struct toc_entry *entries; /* in an order in which they can be made */
    size_t count;
};

/* Texts are copied into arena. ERROR_CONFIG: a format that is not known. */
MUST_CHECK bool toc_read(struct slice archive, struct arena *arena, struct toc *ret_toc, struct error *err);
