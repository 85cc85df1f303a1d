# SPDX-License-Identifier: Apache-2.0
"""
The oracle for Kafka: each committed change is in its topic exactly once, in order, with its values; replayed, the topics are the tables.

What was committed is the witness's word (committed.py), which shares no code with the engine.
"""

from collections import Counter, defaultdict

from support.committed import UNCHANGED, lsn_text
from support.murmur2 import partition_of
from support.published import published, same_value, text_of
from support.topic_reader import COMMITTED, UNCOMMITTED

MOST_SHOWN = 5


class KafkaChecker:
    """Reads immediately. `published` are the committed messages as Published, `aborted` counts messages that only read_uncommitted sees."""

    def __init__(self, reader, topics):
        self.topics = topics
        committed = reader.read(topics, COMMITTED)
        places = {(message.topic(), message.partition(), message.offset()) for message in committed}
        uncommitted = reader.read(topics, UNCOMMITTED)
        seen = {(message.topic(), message.partition(), message.offset()) for message in uncommitted}
        assert places <= seen, "read_committed sees what read_uncommitted does not"
        self.aborted = len(seen - places)
        self.messages = committed
        self.published = [published(message) for message in committed]
        self.committed = []  # by the source, after the copy: known to the witness

    # What a consumer may rely on

    def assert_exactly_once(self, witness, without=()):
        """without: tables whose topics were not read."""
        snapshot = [each for each in self.published if each.kind == "r"]
        starts = {each.commit_lsn for each in snapshot}
        assert len(starts) <= 1, f"rows of several copies: {sorted(map(lsn_text, starts))}"
        if not without:
            _assert_same(Counter((each.index for each in snapshot)), Counter(range(len(snapshot))), "the snapshot")
        copied_lsn = next(iter(starts)) + 1 if starts else 0
        self.committed = witness.changes(after_lsn=copied_lsn)
        expected = [change for change in self.committed if change.table not in without]
        streamed = [each for each in self.published if each.kind != "r"]
        told_twice = [change._replace(kind="M") for change in expected if _moves_key(change)]
        _assert_same(Counter(map(_identity, streamed)), Counter(map(_identity, expected + told_twice)), "the stream")
        self._assert_values([each for each in streamed if each.kind != "M"], expected)
        self._assert_ascending()
        self._assert_partitions()

    def assert_live(self, witness, finished_lsn):
        """
        A copy in chunks, finished at that LSN: no row and no change twice, none that was not committed, and from then on every one.

        Until then a change may be omitted, because a chunk contains it, or one half of a move between chunks.
        """
        rows = Counter((each.commit_lsn, each.index) for each in self.published if each.kind == "r")
        assert not rows or max(rows.values()) == 1, f"numbers of rows twice: {rows.most_common(MOST_SHOWN)}"
        self.committed = witness.changes(after_lsn=0)
        committed = {_identity(change)[:2]: change for change in self.committed}
        streamed = [each for each in self.published if each.kind not in "rM"]
        found = Counter(_identity(each)[:2] for each in streamed)
        assert not found or max(found.values()) == 1, f"changes twice: {found.most_common(MOST_SHOWN)}"
        unknown = [each for each in streamed if _identity(each)[:2] not in committed]
        assert not unknown, f"not committed: {_say(unknown[0])}"
        same = [each for each in streamed if committed[_identity(each)[:2]].kind == each.kind]
        kinds = {committed[_identity(each)[:2]].kind for each in streamed if committed[_identity(each)[:2]].kind != each.kind}
        assert kinds <= {"U"}, f"{kinds} became another kind"
        self._assert_values(same, [committed[_identity(each)[:2]] for each in same])
        late = [change for change in self.committed if change.commit_lsn >= finished_lsn]
        missing = [change for change in late if _identity(change)[:2] not in found]
        assert not missing, f"missing after the copy: {_say(missing[0])}"
        self._assert_ascending()
        self._assert_partitions()

    def assert_faults_hit(self):
        assert self.aborted > 0, "no record was aborted, so no fault came between two records and their commit"

    def _assert_values(self, streamed, expected):
        committed = {_identity(change): change for change in expected}
        for each in streamed:
            change = committed[_identity(each)]
            assert each.xid == change.xid, f"{_say(each)}: transaction {each.xid}, committed by {change.xid}"
            _assert_row(each, "after", each.after, _with_key(change))
            _assert_row(each, "before", each.before, change.old)

    def _assert_ascending(self):
        """One producer, one order: in each partition, and so for each key. A moved key's delete goes before its update."""
        last = {}
        for each in self.published:
            place = (each.topic, each.partition)
            here = _order(each)
            assert place not in last or last[place] < here, f"{_say(each)} comes behind {last[place]}"
            last[place] = here

    def _assert_partitions(self):
        """A key is where every client that partitions as Java's does looks for it."""
        for message in self.messages:
            if message.key() is not None:
                here, there = message.partition(), partition_of(message.key(), self.topics[message.topic()])
                assert here == there, f"{message.topic()}[{here}]@{message.offset()}: the key belongs in partition {there}"

    # The replay

    def replay(self, database, tables, upserts=False):
        """
        Fills the tables, given by quoted names; tables that do not exist must be created before.

        upserts: as a consumer does that does not care whether a key exists, which copes with a chunk that is written twice.
        """
        replayed = defaultdict(lambda: ReplayedTable(upserts))
        for each in sorted(self.published, key=_order):
            replayed[each.schema, each.table].apply(each)
        connection = database.connect(autocommit=False)
        with connection, connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            for table in tables:
                cursor.execute(f"truncate {table}")
            for (schema, table), state in replayed.items():
                state.insert(cursor, schema, table)
        connection.close()


class ReplayedTable:
    """A table as a consumer would keep it: rows by key, or, without one, all of them."""

    def __init__(self, upserts=False):
        self.upserts = upserts
        self.keyed = {}
        self.rows = Counter()

    def apply(self, change):
        if change.kind == "M":
            return  # the update, which comes next here, says it all
        if change.kind == "T":
            self.keyed.clear()
            self.rows.clear()
        elif change.key is None:
            self._apply_keyless(change)
        else:
            self._apply_keyed(change)

    def _apply_keyed(self, change):
        """The key is the new row's; before has the old one where it is another."""
        columns = list(change.key)
        key = tuple((change.before if change.before else change.key)[name] for name in columns)
        if change.kind in "rI":
            assert self.upserts or key not in self.keyed, f"{_say(change)}: the key is there already"
            self.keyed[key] = change.after
            return
        row = self.keyed.pop(key, None)
        assert self.upserts or row is not None, f"{_say(change)}: no such key"
        if change.kind == "U":
            merged = _merge(row or {}, change.after)
            self.keyed[tuple(merged[name] for name in columns)] = merged

    def _apply_keyless(self, change):
        if change.kind in "UD":
            before = _frozen(change.before)
            assert self.rows[before] > 0, f"{_say(change)}: no such row"
            self.rows[before] -= 1
        if change.kind == "U":
            self.rows[_frozen(_merge(change.before, change.after))] += 1
        elif change.kind in "rI":
            self.rows[_frozen(change.after)] += 1

    def insert(self, cursor, schema, table):
        rows = list(self.keyed.values())
        for row, count in self.rows.items():
            rows += [dict(row)] * count
        by_columns = defaultdict(list)
        for row in rows:
            by_columns[tuple(row)].append(tuple(text_of(value) for value in row.values()))
        for columns, values in by_columns.items():
            _insert(cursor, schema, table, columns, values)


def _insert(cursor, schema, table, columns, rows, page=1000):
    target = f"{_quoted(schema)}.{_quoted(table)} ({', '.join(map(_quoted, columns))}) overriding system value"
    form = "(" + ", ".join(["%s"] * len(columns)) + ")"
    for start in range(0, len(rows), page):
        values = ", ".join(cursor.mogrify(form, row).decode() for row in rows[start:start + page])
        cursor.execute(f"insert into {target} values {values}")


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


def _merge(row, after):
    return {**row, **{name: value for name, value in after.items() if value is not UNCHANGED}}


def _frozen(row):
    return tuple(sorted(row.items()))


def _order(change):
    return (change.commit_lsn, change.kind != "r", change.index, change.kind != "M")


def _moves_key(change):
    """An update whose old key was sent alone, and is not the new one."""
    return (change.kind == "U" and change.old is not None and not change.is_full
            and any(change.old[name] != change.new[name] for name in change.old if change.new[name] is not UNCHANGED))


def _identity(change):
    return (change.commit_lsn, change.index, change.kind, change.schema, change.table)


def _say(change):
    return f"{change.schema}.{change.table} {change.kind} at {lsn_text(change.commit_lsn)} {change.index}"


def _assert_same(here, there, what):
    """Two multisets, published and committed."""
    missing, extra = there - here, here - there
    shown = [f"  {word} {item} x {count}" for word, items in (("missing", missing), ("extra", extra))
             for item, count in sorted(items.items())[:MOST_SHOWN]]
    assert not shown, f"{what}: {sum(missing.values())} missing, " \
                      f"{sum(extra.values())} extra of {sum(there.values())}\n" + "\n".join(shown)


def _with_key(change):
    """A large key that an update left unchanged is in the old tuple only, and is part of the message."""
    if change.new is None or change.old is None:
        return change.new
    return {name: change.old[name] if text is UNCHANGED and name in change.old else text for name, text in change.new.items()}


def _assert_row(change, side, row, texts):
    """Every value that was committed; a key's columns alone where no more was sent."""
    if texts is None:
        assert not row, f"{_say(change)}: {side} is there, but none was sent"
        return
    assert row is not None, f"{_say(change)}: no {side}"
    assert set(row) == set(texts), f"{_say(change)}: {side} has {sorted(row)}, committed were {sorted(texts)}"
    for name, text in texts.items():
        assert same_value(row[name], text), f"{_say(change)}: {side}.{name} is {row[name]!r}, committed was {text!r}"
