/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_socket.h - a Unix socket in a directory, for the user of the process and for root.
 *
 * The path of a socket has 107 bytes at most, which a directory's may exceed. So both sides name it through
 * an open descriptor of the directory, and a path of any length works.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cdc/base/error.h"

/* Who is at the other end, as the kernel knows it. */
struct local_peer {
    pid_t pid;
    uid_t uid;
};

/*
 * A listening socket DIRECTORY/NAME of mode 0600 that does not block. Replaces a socket that a killed process
 * left: the caller knows that no other process listens there.
 */
MUST_CHECK bool local_socket_listen(const char *directory, const char *name, int backlog, int *ret_fd,
                                    struct error *err);

/* A client that does not block; -1: none waits. The caller closes it. */
int local_socket_accept(int listener);

/* Root, or the user of this process? The mode of the file says the same, but anybody may change a mode. */
bool local_peer_is_trusted(int client, struct local_peer *ret_peer);

/* Connects. *ret_fd is -1 when no process listens. */
MUST_CHECK bool local_socket_connect(const char *directory, const char *name, int *ret_fd, struct error *err);

/* Removes the socket, if there is one. */
void local_socket_remove(const char *directory, const char *name);
