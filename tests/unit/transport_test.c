/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport_test.c - which hosts are this machine.
 */
#include <criterion/criterion.h>

#include "cdc/pq/transport.h"

Test(transport, sockets_and_loopback_are_local) {
    cr_assert(transport_is_local("/run/postgresql", NULL));
    cr_assert(transport_is_local("@abstract", NULL));
    cr_assert(transport_is_local(NULL, NULL), "libpq's default is a socket");
    cr_assert(transport_is_local("localhost", NULL));
    cr_assert(transport_is_local("127.0.0.53", NULL));
    cr_assert(transport_is_local("db.example", "::1"), "the address counts, not its name");
}

Test(transport, other_hosts_are_not) {
    cr_assert_not(transport_is_local("db.example", NULL));
    cr_assert_not(transport_is_local("10.0.0.1", ""));
    cr_assert_not(transport_is_local("localhost", "10.0.0.1"));
}
