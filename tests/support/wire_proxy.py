# SPDX-License-Identifier: Apache-2.0
"""Between pgcdc and a server: lets everything through, except for what a test or a seed does to it."""

import random
import socket
import struct
import threading


class WireProxy:
    """
    Listens on a port of its own. `take(connection, message)` gets each message of the server, from the type byte to its end, and
    returns what the client gets instead: bytes, or None to cut the connection.
    """

    def __init__(self, port, take):
        self.server_port = port
        self.take = take
        self.count = 0
        self.sockets = []
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with self.lock:
            for one in [self.listener, *self.sockets]:
                close(one)

    def dsn(self, database, more=""):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database.name} sslmode=disable gssencmode=disable {more}"

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                return
            with self.lock:
                self.sockets += [client, server]
                self.count += 1
                number = self.count
            threading.Thread(target=self.pump_client, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pump_server, args=(number, client, server), daemon=True).start()

    @staticmethod
    def pump_client(client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
        except OSError:
            pass
        close(client, server)

    def pump_server(self, number, client, server):
        buffered = b""
        try:
            while data := server.recv(65536):
                buffered += data
                out = []
                while len(buffered) >= 5:
                    size = 1 + struct.unpack_from(">I", buffered, 1)[0]
                    if len(buffered) < size:
                        break
                    message, buffered = buffered[:size], buffered[size:]
                    taken = self.take(number, message)
                    if taken is None:
                        client.sendall(b"".join(out))
                        close(client, server)
                        return
                    out.append(taken)
                client.sendall(b"".join(out))
        except OSError:
            pass
        close(client, server)


def close(*sockets):
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()


def flip(message, byte, bit):
    changed = bytearray(message)
    changed[byte] ^= 1 << bit
    return bytes(changed)


def is_row(message):
    return message[:1] == b"D" or (message[:1] == b"d" and message[30:31] in (b"I", b"U", b"D", b"T", b"R")) or (message[:1] == b"d" and message[5:6] not in (b"w", b"k"))


class Garbler:
    """From a seed: now and then a message is flipped, repeated, left out, shortened, held back or followed by noise, or the connection cut."""

    KINDS = ("flip", "cut", "repeat", "lose", "half", "noise", "pause")
    # The protocol has no checksum: a row that is whole, but another one or not there, cannot be told from a true one.
    ROW_KINDS = ("cut", "half", "noise", "pause")

    def __init__(self, seed, one_in=60, most=6):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.one_in = one_in
        self.left = most
        self.done = []
        self.held = {}

    def __call__(self, number, message):
        with self.lock:
            message = self.held.pop(number, b"") + message
            if self.left == 0 or self.random.randrange(self.one_in) != 0:
                return message
            self.left -= 1
            kind = self.random.choice(self.ROW_KINDS if is_row(message) else self.KINDS)
            self.done.append((number, kind, message[:1]))
            return self.garble(kind, number, message)

    def garble(self, kind, number, message):
        at = self.random.randrange(len(message))
        if kind == "flip":
            return flip(message, at, self.random.randrange(8))
        if kind == "cut":
            return None
        if kind == "repeat":
            return message + message
        if kind == "lose":
            return b""
        if kind == "half":
            return message[:at]
        if kind == "noise":
            return message + self.random.randbytes(self.random.randrange(1, 64))
        self.held[number] = message[at:]
        return message[:at]
