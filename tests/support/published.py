# SPDX-License-Identifier: Apache-2.0
"""A message in the default format as a consumer of another language reads it: with the classes that protoc makes from proto/change.proto."""

import importlib
import struct
import subprocess
import sys
import tempfile
from collections import namedtuple
from functools import lru_cache
from pathlib import Path

from support.committed import UNCHANGED

PROTO = Path(__file__).resolve().parent.parent.parent / "proto"

# kind is a letter: r I U D T, or M for the delete of a key that moved. Rows are dicts by column; key is None without a key.
Published = namedtuple("Published", "commit_lsn index kind schema table key before after xid topic partition offset")


class Float4(float):
    """A real: the nearest double is not what PostgreSQL would print."""


@lru_cache(maxsize=None)
def schema():
    """The generated module."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc", f"--proto_path={PROTO}", f"--python_out={folder}", "change.proto"], check=True)
        sys.path.insert(0, folder)
        try:
            return importlib.import_module("change_pb2")
        finally:
            sys.path.remove(folder)


def published(message):
    """From a message of Kafka's."""
    change = schema().Change.FromString(message.value())
    kind = _kind(change)
    return Published(change.commit_lsn, change.index, kind, change.schema, change.table, key_of(message),
                     _row(change.before) if kind in "DM" or change.before else None,
                     _row(change.after) if kind in "rIU" else None,
                     change.xid, message.topic(), message.partition(), message.offset())


def key_of(message):
    return None if message.key() is None else _row(schema().Key.FromString(message.key()).columns)


def _kind(change):
    name = schema().Operation.Name(change.operation)
    if change.HasField("moved_to"):
        assert name == "OPERATION_DELETE", name
        return "M"
    return {"OPERATION_INSERT": "I", "OPERATION_UPDATE": "U", "OPERATION_DELETE": "D", "OPERATION_TRUNCATE": "T",
            "OPERATION_READ": "r"}[name]


def _row(columns):
    return {column.name: _value(column) for column in columns}


def _value(column):
    kind = column.WhichOneof("value")
    assert kind is not None, f"column {column.name} has no value"
    value = getattr(column, kind)
    return {"null": lambda: None, "unchanged": lambda: UNCHANGED, "float4": lambda: Float4(value)}.get(kind, lambda: value)()


def same_value(value, text):
    """Is it what PostgreSQL wrote as text? None and UNCHANGED are only themselves."""
    if text is None or text is UNCHANGED or value is None or value is UNCHANGED:
        return value is text
    if isinstance(value, Float4):
        return struct.pack("f", value) == struct.pack("f", float(text))
    if isinstance(value, float):
        return struct.pack("d", value) == struct.pack("d", float(text))
    return text_of(value) == text


def text_of(value):
    """The value in the form that PostgreSQL accepts; None is null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, float):
        return repr(float(value))
    return str(value)
