# SPDX-License-Identifier: Apache-2.0
"""Rows that are equal by expressions: one is in the table, the others are in pgcdc.rejected."""

import random

import pytest

TABLE = "create table customer (id int primary key, email text, phone text, note text)"
MAILS = [None, "a@x.org", "A@x.org", "b@x.org", "B@X.org", "c@x.org"]
ALL = "select id, email, phone, note from customers order by 1"
REJECTED = "select (row->>'id')::int, row->>'email', row->>'phone', row->>'note' from pgcdc.rejected where table_name = 'customers' and reason = 'duplicate' order by 1"


def configure(pipeline, keep, by=("lower(email)",), **rule):
    pipeline.source.execute(TABLE)
    pipeline.engine.configuration["mapping"] = [{"match": "public.customer", "to": "public.customers", "dedupe": {"by": list(by), "keep": keep}} | rule]


def settle(rows, keep, holders):
    """rows: {id: (time, email, phone, note)}. Returns who stays, and who does not."""
    groups = {}
    for key, row in rows.items():
        group = row[1].lower() if row[1] is not None else (key,)
        groups.setdefault(group, []).append((row[0], key))
    kept = set()
    for rivals in groups.values():
        if keep == "last_commit":
            kept.add(max(rivals)[1])
        else:
            kept.add(min(rivals, key=lambda rival: (rival[1] not in holders, rival))[1])
    return kept


def random_change(chance, rows, time):
    key, mail, note = chance.randrange(10), chance.choice(MAILS), f"n{time}"
    text = f"'{mail}'" if mail is not None else "null"
    if key not in rows:
        rows[key] = (time, mail, "1", note)
        return f"insert into customer values ({key}, {text}, '1', '{note}')"
    kind = chance.random()
    if kind < 0.3:
        del rows[key]
        return f"delete from customer where id = {key}"
    rows[key] = (time, mail if kind < 0.8 else rows[key][1], "1", note)
    return f"update customer set note = '{note}'" + (f", email = {text}" if kind < 0.8 else "") + f" where id = {key}"


def listed(rows, keys):
    return sorted((key, *rows[key][1:]) for key in keys)


@pytest.mark.parametrize("keep, mode", [("last_commit", "simple"), ("last_commit", "live"), ("first", "simple")])
def test_one_of_each_group_stays(pipeline, keep, mode):
    chance, rows, holders = random.Random(f"{keep} {mode}"), {}, set()
    configure(pipeline, keep)
    pipeline.engine.configuration["copy"] = {"mode": mode}
    for key in range(0, 10, 2):
        mail = MAILS[1 + key % 3]
        rows[key] = (0, mail, "1", "old")
        pipeline.source.execute("insert into customer values (%s, %s, '1', 'old')", (key, mail))
    holders = settle(rows, keep, holders)
    pipeline.start()
    for time in range(1, 120):
        pipeline.source.execute(random_change(chance, rows, time))
        holders = settle(rows, keep, holders)
        if time % 40 == 0:
            pipeline.wait_applied()
            assert pipeline.target.execute(ALL) == listed(rows, holders)
            assert pipeline.target.execute(REJECTED) == listed(rows, rows.keys() - holders)
    pipeline.wait_applied()
    assert pipeline.target.execute(ALL) == listed(rows, holders)
    assert pipeline.target.execute(REJECTED) == listed(rows, rows.keys() - holders)
    result = pipeline.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr


def test_many_rows_at_once(pipeline):
    """By one statement, and by the other plan."""
    configure(pipeline, "last_commit", by=["email", "phone"])
    pipeline.source.execute("insert into customer select g, 'mail ' || g % 1000, (g % 2)::text, 'n' from generate_series(1, 4000) g")
    pipeline.start()
    pipeline.source.execute("insert into customer select g, 'mail ' || g % 1000, (g % 2)::text, 'late' from generate_series(4001, 5200) g;"
                            "delete from customer where id % 3 = 0; update customer set email = null where id % 5 = 0; update customer set id = id + 100000 where id < 100")
    pipeline.wait_applied()
    source = pipeline.source.execute("select id, email, phone, note from (select *, row_number() over (partition by coalesce(email, id::text), phone"
                                     " order by (note = 'late' or id > 100000) desc, id desc) as place from customer) c where place = 1 order by id")
    rows = pipeline.target.execute(ALL)
    groups = {(mail or key, phone) for key, mail, phone, _ in source}
    assert len(rows) == len(source) and {(mail or key, phone) for key, mail, phone, _ in rows} == groups
    assert pipeline.target.value("select count(*) from pgcdc.rejected") == pipeline.source.value("select count(*) from customer") - len(rows)
    pipeline.source.execute("truncate customer; insert into customer values (1, 'x', '', '')")
    pipeline.wait_applied()
    assert pipeline.target.execute(ALL) == [(1, "x", "", "")] and pipeline.target.value("select count(*) from pgcdc.rejected") == 0


def test_between_sources_first_the_key_decides(new_pipeline, shared_clusters):
    both = [new_pipeline(shared_clusters("source"), shared_clusters("target"), name) for name in ("north", "south")]
    both[1].target = both[0].target
    both[1].sink_configuration["dsn"] = both[0].target.dsn()
    for pipeline in both:
        configure(pipeline, "last_commit", source=pipeline.name, on_clash={"by_source": ["north", "south"]})
        pipeline.start()
    north, south = both
    south.source.execute("insert into customer values (1, 'a', '', 'south'), (2, 'b', '', 'south')")
    south.wait_applied()
    north.source.execute("insert into customer values (1, 'B', '', 'north')")  # takes place 1 from a, and group b from place 2
    north.wait_applied()
    assert north.target.execute(ALL) == [(1, "B", "", "north")]
    assert north.target.execute("select key->>'id', source, reason from pgcdc.rejected order by 1") == [("1", "south", "clash"), ("2", "south", "duplicate")]
    north.source.execute("delete from customer")
    north.wait_applied()
    assert north.target.execute(ALL) == [(1, "a", "", "south"), (2, "b", "", "south")]
    assert north.target.value("select count(*) from pgcdc.rejected") == 0


def test_masked_values_are_rejected_masked(pipeline):
    configure(pipeline, "first", columns={"phone": {"mask": {"fixed": "hidden"}}, "note": "drop"})
    pipeline.source.execute("insert into customer values (1, 'a', 'secret', 'secret'), (2, 'A', 'secret', 'secret')")
    pipeline.start()
    pipeline.source.execute("insert into customer values (3, 'a', 'secret', 'secret')")
    pipeline.wait_applied()
    rows = pipeline.target.execute("select row::text from pgcdc.rejected order by 1")
    assert len(rows) == 2 and all("secret" not in row and "hidden" in row for row, in rows)
    assert "secret" not in str(pipeline.target.execute("select * from _pgcdc_customers"))


@pytest.mark.parametrize("by, problem", [("random()", "IMMUTABLE"), ("nothing", "nothing"), ("lower(", "syntax error")])
def test_an_expression_is_proven(pipeline, by, problem):
    configure(pipeline, "first", by=[by])
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and problem in result.stderr and "correct dedupe.by" in result.stderr, result.stderr
    assert pipeline.target.value("select to_regclass('public.customers') is null")
