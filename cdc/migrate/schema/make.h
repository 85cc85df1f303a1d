/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.h - one object, made in a session of the target.
 */
#pragma once

#include "cdc/migrate/schema/object.h"
#include "cdc/pq/session.h"

/* In an open transaction: that functions may be made before what they use. */
MUST_CHECK bool make_prepare(struct session *session, struct error *err);

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

/* The search_path that sessions of the database have, in arena. */
MUST_CHECK bool make_read_path(struct session *session, struct arena *arena, const char **ret_search_path,
                               struct error *err);
