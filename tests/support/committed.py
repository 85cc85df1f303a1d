# SPDX-License-Identifier: Apache-2.0
"""
What the source has committed, from a slot of the test's own, decoded by nothing that the engine uses.

The slot is peeked at, so it may be asked again and again. Values are texts, None, or UNCHANGED.
"""

import struct
from collections import namedtuple

UNCHANGED = object()

# A truncate of several tables is one change for each of them, with the same index. is_full: of the replica identity.
Change = namedtuple("Change", "commit_lsn index kind schema table old new xid is_full")


class Witness:
    """A slot that begins before everything it shall witness; the publication must exist before it."""

    def __init__(self, database, publication, name="witness"):
        self.database = database
        self.publication = publication
        self.name = name
        database.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))

    def changes(self, after_lsn=0):
        """Row changes and truncates, in commit order, of transactions that end after after_lsn."""
        rows = self.database.execute(
            "select data from pg_logical_slot_peek_binary_changes(%s, null, null, 'proto_version', '1', "
            "'publication_names', %s)", (self.name, '"' + self.publication.replace('"', '""') + '"'))
        return list(_decode((bytes(row[0]) for row in rows), after_lsn))


def lsn_number(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def lsn_text(number):
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, form):
        values = struct.unpack_from("!" + form, self.data, self.at)
        self.at += struct.calcsize("!" + form)
        return values[0] if len(values) == 1 else values

    def string(self):
        end = self.data.index(b"\0", self.at)
        text = self.data[self.at:end].decode()
        self.at = end + 1
        return text

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count:self.at]


def _decode(messages, after_lsn):
    relations, transaction = {}, []
    commit_lsn = index = xid = 0
    for data in messages:
        reader = _Reader(data)
        kind = reader.bytes(1).decode()
        if kind == "B":
            commit_lsn, _, xid = reader.take("QqI")
            transaction, index = [], 0
        elif kind == "C":
            _, _, end_lsn, _ = reader.take("BQQq")
            if end_lsn > after_lsn:
                yield from transaction
        elif kind == "R":
            relation = _relation(reader)
            relations[relation.oid] = relation
        elif kind in "IUD":
            relation = relations[reader.take("I")]
            old, new = _rows(reader, relation)
            transaction.append(Change(commit_lsn, index, kind, relation.schema, relation.table, old, new, xid,
                                      relation.is_full))
            index += 1
        elif kind == "T":
            count, _ = reader.take("IB")
            for relation in [relations[reader.take("I")] for _ in range(count)]:
                transaction.append(Change(commit_lsn, index, kind, relation.schema, relation.table, None, None, xid, relation.is_full))
            index += 1
        else:
            assert kind in "OY", f"a message {kind} that was not asked for"


_Relation = namedtuple("_Relation", "oid schema table columns keys is_full")


def _relation(reader):
    oid, schema, table = reader.take("I"), reader.string(), reader.string()
    identity, count = reader.take("BH")
    columns, keys = [], []
    for _ in range(count):
        flags, name = reader.take("B"), reader.string()
        reader.take("Ii")
        columns.append(name)
        if flags & 1:
            keys.append(name)
    return _Relation(oid, schema, table, columns, keys, identity == ord("f"))


def _rows(reader, relation):
    old = new = None
    while reader.at < len(reader.data):
        kind = reader.bytes(1)
        row = _row(reader, relation)
        if kind == b"N":
            new = row
        else:
            old = {name: row[name] for name in relation.keys} if kind == b"K" else row
    return old, new


def _row(reader, relation):
    assert reader.take("H") == len(relation.columns)
    row = {}
    for name in relation.columns:
        kind = reader.bytes(1)
        row[name] = {b"n": None, b"u": UNCHANGED}[kind] if kind in b"nu" else reader.bytes(reader.take("I")).decode()
    return row
