/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower.h - who reads an archive, and up to where: the files NAME.follower in its directory.
 *
 * A pipeline that reads the archive keeps one, with the position that is durable in all its sinks. The writer
 * deletes no segment that a follower still needs. After a crash the file may name an older position, so more
 * is kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct follower {
    char name[64]; /* of the pipeline */
    lsn_t lsn;
    int64_t written_us; /* when the file was written, since 1970 */
};

struct follower_list {
    struct follower *followers;
    size_t count;
};

/* ERROR_SYSTEM when the directory cannot be written. */
MUST_CHECK bool follower_write(const char *directory, const char *name, lsn_t lsn, struct error *err);

/* True also when there is none. */
MUST_CHECK bool follower_remove(const char *directory, const char *name, struct error *err);

/* A file that cannot be read is a follower that needs everything. The caller releases the list. */
MUST_CHECK bool follower_list_read(const char *directory, struct follower_list *ret_list, struct error *err);
void follower_list_release(struct follower_list *list);

/* The smallest position of all followers; UINT64_MAX without any. */
lsn_t follower_list_first(const struct follower_list *list);
