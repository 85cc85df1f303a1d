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

enum { DDL_SECRET_MAX = 40, DDL_STAMP_SIZE = 64 /* hexadecimal digits */ };

struct ddl_triggers {
    enum ddl_triggers_state state;
    /* of the key and of the triggers as they are now: it signs their messages; "" unless ON. Never logged */
    char secret[DDL_SECRET_MAX];
};

MUST_CHECK bool ddl_triggers_read(struct session *source, struct ddl_triggers *ret_triggers,
                                  struct error *err);

/*
 * Have these triggers written this message? stamp: DDL_STAMP_SIZE digits, HMAC-SHA256 with the secret over
 * "XID MESSAGE", so that neither another text nor the same one in another transaction has it.
 */
MUST_CHECK bool ddl_triggers_wrote(const struct ddl_triggers *triggers, struct slice signed_text,
                                   struct slice stamp);

/* One transaction, to be run as a superuser; role is the one that reads the changes. Can be run again. */
void ddl_triggers_append_install(struct buffer *sql, const char *role);

/* One transaction, which takes away what that one has made. Can be run again. */
extern const char DDL_TRIGGERS_REMOVE[];
