/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.h - one object, made in a session of the target.
 */
#pragma once

#include "cdc/migrate/schema/object.h"
#include "cdc/pq/session.h"

/* Begins a transaction in which functions may be made before what they use. */
MUST_CHECK bool make_begin(struct session *session, const char *pipeline, struct error *err);

/*
 * Waits until no transaction is open that an earlier process of the pipeline has begun with make_begin: a
 * server goes on for a while with what a killed process asked for, and may commit it.
 */
MUST_CHECK bool make_await_earlier(struct session *session, const char *pipeline, struct error *err);

/*
 * In an open transaction, which an error leaves aborted. The error names the object, and the remedy that its
 * SQLSTATE suggests.
 */
MUST_CHECK bool make_object(struct session *session, const struct object *object, struct error *err);

/*
 * The same after a savepoint, to which an error leads back. An index or a view can call functions that rely
 * on the search_path of their database: one that lacks a name is tried again with it.
 */
MUST_CHECK bool make_object_safely(struct session *session, const struct object *object,
                                   const char *search_path, struct error *err);

/*
 * make_begin, make_object and a last statement, in one round trip. An error leaves the transaction aborted;
 * after one that lacks a name, make_object_safely may still make it.
 */
MUST_CHECK bool make_at_once(struct session *session, const char *pipeline, const struct object *object,
                             const char *last_sql, struct error *err);
bool make_lacks_name(const struct error *err);

/* The search_path that sessions of the database have, in arena. */
MUST_CHECK bool make_read_path(struct session *session, struct arena *arena, const char **ret_search_path,
                               struct error *err);
