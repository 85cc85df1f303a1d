#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads an archive and prints its changes as lines of JSON: a second reader, made from SEGMENT.md alone.

    read_archive.py DIRECTORY

Needs archive_pb2, which protoc makes from archive.proto, and the modules zstandard and protobuf.
"""

import json
import struct
import sys
import zlib
from pathlib import Path

import archive_pb2 as archive
import zstandard

HEAD = struct.Struct("<4sccHIIIIQQqQII")
VALUES = {ord("n"): None, ord("u"): "unchanged"}


class Damage(Exception):
    """What was read is not what was written."""


def frames(data, path):
    """(offset, kind, is whole, end LSN, plain bytes) of each frame, as far as they can be read."""
    offset = 0
    while offset < len(data):
        head = data[offset:offset + HEAD.size]
        if len(head) < HEAD.size or head[:4] != b"PGCF" or zlib.crc32(head[:60]) != struct.unpack("<I", head[60:])[0]:
            return
        _, kind, codec, flags, stored, plain_size, checksum, _, _, end_lsn, _, _, _, _ = HEAD.unpack(head)
        body = data[offset + HEAD.size:offset + HEAD.size + stored]
        if len(body) < stored:
            return
        if zlib.crc32(body) != checksum:
            raise Damage(f"{path}: the frame at byte {offset}")
        plain = zstandard.ZstdDecompressor().decompress(body, max_output_size=plain_size) if codec == b"z" else body
        yield offset, kind, flags & 1, end_lsn, plain
        offset += HEAD.size + stored


def groups(path):
    """The plain bytes of the frames of each group that counts, and its end LSN."""
    group = []
    for _, kind, is_whole, end_lsn, plain in frames(path.read_bytes(), path):
        if kind != b"E":
            continue
        group.append(plain)
        if is_whole:
            yield group, end_lsn
            group = []


def row(states, values, relation):
    values = iter(values)
    return {column.name: next(values).decode("utf-8", "replace") if state in b"tb" else VALUES[state]
            for column, state in zip(relation.columns, states)}


class Segment:
    """The entries of one segment, in order."""

    def __init__(self):
        self.relations = {}
        self.transaction = None
        self.index = 0

    def changes(self, plain):
        for entry in archive.Entries.FromString(plain).entries:
            if entry.kind == archive.KIND_RELATION:
                self.relations[entry.relation] = entry.definition
            elif entry.kind in (archive.KIND_BEGIN, archive.KIND_COPY):
                self.transaction = entry.transaction
                self.index = entry.transaction.next_index
            elif entry.kind in (archive.KIND_PLAN, archive.KIND_CHUNK, archive.KIND_COPIED):
                continue
            elif entry.kind == archive.KIND_MESSAGE and not entry.message.transactional:
                continue
            elif entry.kind != archive.KIND_COMMIT:
                self.index += entry.skipped
                yield self.change(entry)
                self.index += 1

    def change(self, entry):
        change = {"operation": archive.Kind.Name(entry.kind)[len("KIND_"):].lower(),
                  "commit_lsn": self.transaction.commit_lsn, "index": self.index, "xid": self.transaction.xid}
        if entry.kind == archive.KIND_TRUNCATE:
            change["tables"] = [self.relations[number].name for number in entry.truncate.relations]
        elif entry.kind != archive.KIND_MESSAGE:
            relation = self.relations[entry.relation]
            change |= {"schema": relation.schema, "table": relation.name}
            if entry.old_states:
                change["before"] = row(entry.old_states, entry.old_values, relation)
            if entry.new_states:
                change["after"] = row(entry.new_states, entry.new_values, relation)
        return change


def read(directory):
    """Every change that counts."""
    for path in sorted(Path(directory).glob("*.segment")):
        segment = Segment()
        for group, _ in groups(path):
            for plain in group:
                yield from segment.changes(plain)


if __name__ == "__main__":
    for one in read(sys.argv[1]):
        print(json.dumps(one))
