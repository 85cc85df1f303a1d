/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ddl_triggers.h - the event triggers of `pgcdc ddl install`: they write the columns of a table into the WAL,
 * in the transaction that has altered them.
 *
 * Every role may write a logical message. So each of theirs has a stamp that only who reads pgcdc.ddl_key can
 * make; who reads the WAL can copy it. It is another one after a trigger was made anew or switched, so a
 * message from before such a time, in which changes were not seen, is known by it.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"

#define DDL_MESSAGE_PREFIX "pgcdc.ddl"

enum ddl_triggers_state {
    DDL_TRIGGERS_NONE,   /* none of it is there */
    DDL_TRIGGERS_OFF,    /* a part is missing, or switched off */
    DDL_TRIGGERS_DENIED, /* the role may not read pgcdc.ddl_key */
    DDL_TRIGGERS_ON,
};

enum { DDL_STAMP_MAX = 40 };

struct ddl_triggers {
    enum ddl_triggers_state state;
    char stamp[DDL_STAMP_MAX]; /* as messages have it that are written now; "" unless ON. Secret */
};

MUST_CHECK bool ddl_triggers_read(struct session *source, struct ddl_triggers *ret_triggers,
                                  struct error *err);

/* One transaction, to be run as a superuser; role is the one that reads the changes. Can be run again. */
void ddl_triggers_append_install(struct buffer *sql, const char *role);

/* One transaction, which takes away what that one has made. Can be run again. */
extern const char DDL_TRIGGERS_REMOVE[];
