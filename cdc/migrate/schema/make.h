/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.h - one object, made in a session of the target.
 */
#pragma once

#include "cdc/migrate/schema/object.h"
#include "cdc/pq/session.h"

/* In an open transaction: that functions may be made before what they use. */
MUST_CHECK bool make_prepare(struct session *session, struct error *err);

/* In an open transaction. The error names the object, and the remedy that its SQLSTATE suggests. */
MUST_CHECK bool make_object(struct session *session, const struct object *object, struct error *err);
