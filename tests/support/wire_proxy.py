# SPDX-License-Identifier: Apache-2.0
"""Between pgcdc and a server: lets everything through, except for what a test or a seed does to it."""

import random
import select
import socket
import struct
import threading


class Cut:
    """A test returns it to end the connection after some bytes: "close" (FIN), "reset" (RST), or "half": no more of this direction."""

    def __init__(self, how="close", before=b""):
        self.how, self.before = how, before


class WireProxy:
    """
    Listens on a port of its own. `take(connection, message)` gets each message of the server, from the type byte to its end, and
    returns what the client gets instead: bytes, an iterator of bytes, or a Cut (None: an orderly close). `take_client` gets those of the
    client, behind the first one, which has no type.
    """

    def __init__(self, port, take=None, take_client=None):
        self.server_port = port
        self.take, self.take_client = take or through, take_client
        self.count = 0
        self.is_deaf = False  # takes new connections and never says a word
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

    def sever(self):
        """Every connection of now ends; new ones are taken."""
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for one in sockets:
            close(one)

    def dsn(self, database, more=""):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database.name} sslmode=disable gssencmode=disable {more}"

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
                if self.is_deaf:
                    with self.lock:
                        self.sockets.append(client)
                        self.count += 1
                    continue
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:  # the server is down
                client.close()
                continue
            with self.lock:
                self.sockets += [client, server]
                self.count += 1
                number = self.count
            threading.Thread(target=self.pump, args=(number, server, client, self.take, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(number, client, server, self.take_client, True), daemon=True).start()

    def pump(self, number, source, sink, take, is_client):
        """From one socket to the other, message by message."""
        buffered, has_type = b"", not is_client
        try:
            while data := receive(source):
                if take is None:
                    sink.sendall(data)
                    continue
                buffered += data
                messages, buffered, has_type = split(buffered, has_type)
                if not send_all(sink, (take(number, message) if is_typed else message for is_typed, message in messages)):
                    return
        except (OSError, ValueError):
            pass
        close(source, sink)


def through(_, message):
    return message


def receive(source):
    """Releases the socket now and then, so that a reset in the other direction takes effect at once."""
    while not select.select([source], [], [], 0.1)[0]:
        pass
    return source.recv(65536)


def split(buffered, has_type):
    """The whole messages, each with whether it has a type, what is left, and whether the next one has."""
    messages = []
    while len(buffered) >= 5:
        size = has_type + struct.unpack_from(">I", buffered, has_type)[0]
        if len(buffered) < size:
            break
        messages.append((has_type, buffered[:size]))
        buffered, has_type = buffered[size:], True
    return messages, buffered, has_type


def send_all(sink, parts):
    """False: nothing more goes this way."""
    out = []
    for taken in parts:
        if isinstance(taken, bytes):
            out.append(taken)
            continue
        sink.sendall(b"".join(out))
        out = []
        if taken is None or isinstance(taken, Cut):
            cut(sink, taken or Cut())
            return False
        for part in taken:
            sink.sendall(part)
    sink.sendall(b"".join(out))
    return True


def cut(sink, how):
    sink.sendall(how.before)
    if how.how == "half":
        sink.shutdown(socket.SHUT_WR)
    elif how.how == "reset":
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sink.close()
    else:
        raise ConnectionError("cut")


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

    KINDS = ("flip", "cut", "reset", "close_half", "repeat", "lose", "half", "noise", "pause")
    # The protocol has no checksum: a row that is whole, but another one or not there, cannot be told from a true one.
    ROW_KINDS = ("cut", "reset", "close_half", "half", "noise", "pause")

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
            kind = self.random.choice(self.kinds(message))
            self.done.append((number, kind, message[:1]))
            return self.garble(kind, number, message)

    def kinds(self, message):
        return self.ROW_KINDS if is_row(message) else self.KINDS

    def flip_at(self, message):
        return self.random.randrange(len(message))

    def garble(self, kind, number, message):
        at = self.random.randrange(len(message))
        if kind == "flip":
            return flip(message, self.flip_at(message), self.random.randrange(8))
        if kind == "cut":
            return None
        if kind in ("reset", "close_half"):
            return Cut("half" if kind == "close_half" else "reset", message[:at])
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


class ClientGarbler(Garbler):
    """The same for what the client sends. Its values have no checksum either, so a bit is only turned in type and length."""

    KINDS = ROW_KINDS = ("flip", "cut", "reset", "close_half", "half", "noise", "pause")

    def flip_at(self, message):
        return self.random.randrange(min(5, len(message)))
