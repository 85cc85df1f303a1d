/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - the objects of a description, with what makes each of them, and in which order.
 */
#pragma once

#include "cdc/base/map.h"
#include "cdc/migrate/schema/schema.h"
#include "cdc/migrate/schema/toc.h"

/* A pass begins when the one before it is complete. */
enum object_pass {
    PASS_MAIN,
    PASS_RIGHTS,     /* an owner can take a right from itself that it needed before */
    PASS_ROWS,       /* of materialized views */
    PASS_STATISTICS, /* ANALYZE */
    PASS_LAST,       /* event triggers, which act on all that comes later */
    PASSES,
};

enum object_state { OBJECT_WAITING, OBJECT_RUNNING, OBJECT_DONE };

struct object {
    const char *kind;
    const char *schema; /* "" */
    const char *name;
    const char *key;        /* its row in pgcdc.migration: "INDEX public.t_a" */
    const char *sql;        /* makes it; "": nothing to run */
    const char *owner_sql;  /* gives it its owner, or "" */
    const char *owner;      /* or "" */
    const char *definition; /* what is compared */
    char hash[17];          /* of the definition */
    enum schema_stage stage;
    enum object_pass pass;
    bool is_alone;    /* locks more than one table: not at the same time as another such object */
    bool is_derived;  /* work that a description of the target does not show */
    bool is_refused;  /* the target's version cannot make it */
    bool is_left_out; /* source.tables leaves it out, or what it needs */
    struct object **needs;
    size_t need_count;
    int64_t bytes; /* of an index at the source; 0: not known */
    enum object_state state;
};

struct object_list {
    struct object *objects;
    size_t count;
    size_t left_out;
    struct map by_name; /* of kind, schema and name */
};

/* Texts are the description's, and in arena. The caller releases *ret_list. */
MUST_CHECK bool object_list_make(const struct toc *toc, const struct config *config, struct arena *arena,
                                 struct object_list *ret_list, struct error *err);

/*
 * Adds, once, the work that follows from objects: the check of a foreign key's rows, which is then added
 * without it, and ANALYZE.
 */
MUST_CHECK bool object_list_derive(struct object_list *list, struct arena *arena, struct error *err);

/* Accepts a zeroed one. */
void object_list_release(struct object_list *list);

/* The object of another list with the same kind, schema and name, or NULL. */
struct object *object_list_find(const struct object_list *list, const struct object *like);

/* object_sql.c: the texts of one object. All names in SQL that pg_dump wrote are quoted. */

/* Fills sql, owner_sql, owner and definition from the entry; false: memory is exhausted. */
MUST_CHECK bool object_take_sql(struct object *object, const struct toc_entry *entry,
                                const struct config *config, struct arena *arena);

/* Is it a primary key, or the index of a replica identity? */
bool object_is_key(const struct object *object);

/*
 * A foreign key of a table that is not partitioned and that is checked at once: the two statements that add
 * it first and check its rows later; NULL in both for any other.
 */
MUST_CHECK bool object_split_check(const struct object *object, struct arena *arena, const char **ret_add,
                                   const char **ret_check);

/* Calls take with each role that the object's SQL names; its owner is not in it. False when take was. */
typedef bool object_role_taker(void *context, struct slice role);
MUST_CHECK bool object_each_role(const struct object *object, object_role_taker *take, void *context);
