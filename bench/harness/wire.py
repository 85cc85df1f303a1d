# SPDX-License-Identifier: Apache-2.0
"""Bytes on the wire: what a server sent to its clients, as its kernel counted them.

The kernel announces every TCP connection that it destroys, with its final counters (sock_diag's destroy groups), to any process that
listens; that is exact, costs the connection nothing and needs no rights. pg_stat_replication's LSNs would not do: they say how
much WAL was worked off, not how much was sent about it.
"""
import errno
import socket
import struct

TIMEOUT_S = 10
NETLINK_SOCK_DIAG = 4
DESTROYED_IPV4_TCP = 1 << 0
RECEIVE_BYTES = 4 << 20  # the messages of thousands of connections
MESSAGE_HEAD, DIAG_BYTES = 16, 72  # struct nlmsghdr, struct inet_diag_msg
PORTS_AT = MESSAGE_HEAD + 4  # in network byte order: ours, the other side's
ATTRIBUTE_TCP_INFO = 2
BYTES_ACKED_AT = 120  # in struct tcp_info


class Wire:
    """Counts from when it is made until it is closed."""

    def __init__(self, port):
        self.port = port
        self.bytes = 0
        self.is_complete = True
        self.listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self.listener.bind((0, DESTROYED_IPV4_TCP))

    def sent_bytes(self):
        """The bytes of ended connections to the port; None when the kernel does not report them, or had to leave some out.

        Announcements come a little late, in their order: a connection of our own is the last one to wait for.
        """
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last_port = last.getsockname()[1]
        self.listener.settimeout(TIMEOUT_S)
        try:
            while self._take() != last_port:
                pass
        except TimeoutError:
            return None
        return self.bytes if self.is_complete else None

    def close(self):
        self.listener.close()

    def _take(self):
        """The other side's port of a connection that was counted, None when it is not one of ours."""
        try:
            message = self.listener.recv(65536)
        except OSError as problem:
            if problem.errno != errno.ENOBUFS:
                raise
            self.is_complete = False
            return None
        port, other_port = struct.unpack_from("!HH", message, PORTS_AT)
        if port != self.port:
            return None
        self.bytes += _bytes_acked(message)
        return other_port


def _bytes_acked(message):
    at = MESSAGE_HEAD + DIAG_BYTES
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("HH", message, at)
        if kind == ATTRIBUTE_TCP_INFO and length >= 4 + BYTES_ACKED_AT + 8:
            return struct.unpack_from("Q", message, at + 4 + BYTES_ACKED_AT)[0]
        at += max((length + 3) & ~3, 4)
    return 0
