# SPDX-License-Identifier: Apache-2.0
"""The oracle for the transaction topic: each published transaction begins, is split and ends there once, with its counts."""

from collections import defaultdict

from support.committed import lsn_text
from support.published import schema


class Told:
    """The topic's records of one transaction, in their order."""

    def __init__(self, messages):
        self.records = [schema().Transaction.FromString(message.value()) for message in messages]
        self.partitions = {message.partition() for message in messages}

    @property
    def statuses(self):
        return [schema().TransactionStatus.Name(record.status).removeprefix("TRANSACTION_STATUS_") for record in self.records]

    @property
    def tables(self):
        return [(table.schema, table.table, table.change_count) for table in self.records[-1].tables]


def told_transactions(messages):
    """{commit_lsn: Told}, from the committed messages of the topic."""
    found = defaultdict(list)
    for message in messages:
        key = schema().TransactionKey.FromString(message.key())
        record = schema().Transaction.FromString(message.value())
        assert key.commit_lsn == record.commit_lsn, f"the key says {lsn_text(key.commit_lsn)}: {record}"
        found[key.commit_lsn].append(message)
    return {commit_lsn: Told(of_one) for commit_lsn, of_one in found.items()}


def assert_told(messages, committed):
    """committed: the witness's changes that were streamed. Returns the topic's records, for tests of splits."""
    expected = defaultdict(list)
    for change in committed:
        expected[change.commit_lsn].append(change)
    told = told_transactions(messages)
    assert sorted(map(lsn_text, told)) == sorted(map(lsn_text, expected)), "told and committed transactions"
    for commit_lsn, of_one in told.items():
        _assert_transaction(of_one, expected[commit_lsn], lsn_text(commit_lsn))
    return told


def _assert_transaction(told, changes, name):
    assert told.statuses == ["BEGIN"] + ["SPLIT"] * (len(told.records) - 2) + ["END"], f"{name}: {told.statuses}"
    assert len(told.partitions) == 1, f"{name}: in partitions {told.partitions}"
    assert {record.xid for record in told.records} == {change.xid for change in changes}, name
    counts = [record.change_count for record in told.records]
    assert counts[0] == 0 and counts[1:] == sorted(set(counts[1:])), f"{name}: {counts}"
    assert counts[-1] == len({change.index for change in changes}), f"{name}: {counts[-1]} of {len(changes)}"
    tables = {}
    for change in changes:
        tables[change.schema, change.table] = tables.get((change.schema, change.table), 0) + 1
    assert told.tables == [(*table, count) for table, count in tables.items()], f"{name}: {told.tables}, committed were {tables}"
    assert not any(record.tables for record in told.records[:-1]), f"{name}: counts before the end"
