# SPDX-License-Identifier: Apache-2.0
"""`--where` of commands, for tables with a rule: it is over the source's columns, and is asked of both sides."""

import json

import pytest

EQUAL, DIFFERENT = 0, 4
TABLES = """
create table shop (id int primary key, name text, n int, secret text, at timestamptz default '2020-01-01 12:00+00');
insert into shop select g, ' Name ' || g, g, 'x' from generate_series(1, 20000) g;
create table bare (id int primary key, n int, v text);
insert into bare select g, g, 'v' from generate_series(1, 20000) g;
create table plain (id int primary key, v text); insert into plain select g, 'v' from generate_series(1, 20000) g;
"""
# n of the source is the sink's id, which is another column there
MAPPING = [
    {"match": "public.shop", "to": "crm.store", "where": "id <> 50", "columns": {
        "id": {"as": "nr"}, "n": {"as": "id"}, "name": ["trim"], "secret": "drop", "at": {"type": "date"}, "source": {"const": "a"}}},
    {"match": "public.bare", "to": "crm.bare", "columns": {"id": {"as": "nr"}, "n": {"as": "id"}, "source": {"const": "a"}}}]


@pytest.fixture
def shop(pipeline):
    pipeline.source.execute(TABLES + "alter table shop replica identity full")
    pipeline.publish()
    pipeline.engine.configuration["mapping"] = MAPPING
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "100kB"}
    pipeline.start()
    pipeline.wait_while_running(lambda: is_copied(pipeline), "the copy to end")
    pipeline.target.execute("alter table crm.store add secret text default 'the target''s own'; insert into crm.store (nr, id, source) values (-5, 555, 'b')")
    return pipeline


def is_copied(pipeline):
    return pipeline.target.value("select count(*) from pgcdc.copy") == 0


def copied_again(pipeline, table, where):
    """How many chunks, once they are copied."""
    result = pipeline.engine.command("table copy", table, "--where", where)
    assert result.returncode == 0, result.stderr
    pipeline.wait_while_running(lambda: is_copied(pipeline), "the copy to end")
    return int(result.stdout.split()[0])


def stored(pipeline):
    return pipeline.target.execute("select nr, id, name from crm.store where source = 'a' order by nr")


def verify(pipeline, table, where):
    pipeline.source.execute("select pg_logical_emit_message(true, 'test', '')")
    result = pipeline.engine.command("verify", "--json", "--table", table, "--where", where)
    assert result.stdout, result.stderr
    found = json.loads(result.stdout)["sinks"][0]["tables"][0]
    return result.returncode, (found["source_rows"], found["target_rows"]), (found["missing"], found["extra"], found["different"])


def test_chunks_with_such_a_row_on_either_side_are_copied(shop):
    expected = stored(shop)
    shop.target.execute("update crm.store set id = -1 where nr = 17; update crm.store set name = 'wrong' where nr in (18, 19000)")
    assert copied_again(shop, "public.shop", "n = -1 -- only at the target") == 1
    assert [row for row in stored(shop) if row not in expected] == [(19000, 19000, "wrong")]
    assert copied_again(shop, "public.shop", "id = 19000") == 1
    assert stored(shop) == expected
    assert copied_again(shop, "public.shop", "n in (100, 15000)") == 2
    shop.target.execute("insert into crm.store (nr, id, source) values (20001, 7, 'a')")
    assert copied_again(shop, "public.shop", "n = 7") == 2  # the source's row, and one that the source has not
    assert stored(shop) == expected
    assert copied_again(shop, "public.shop", "n = 555") == 1  # another source's row is not looked at
    assert shop.target.value("select count(*) from crm.store where source = 'b'") == 1
    assert copied_again(shop, "public.plain", "id = 5") == 1


@pytest.mark.parametrize("table", ["public.shop", "public.bare"])  # mapped rows are compared, and hashes of both sides
def test_rows_with_such_values_are_compared(shop, table):
    name = "crm.store" if table == "public.shop" else "crm.bare"
    rows = 98 if table == "public.shop" else 99  # the rule leaves one out
    assert verify(shop, table, "n < 100 -- of both") == (EQUAL, (rows, rows), (0, 0, 0))
    shop.target.execute(f"update {name} set id = 5 where nr = 5000; delete from {name} where nr = 17; update {name} set id = 99 where nr = 98;"
                        f"update {name} set id = 7000 where nr = 18; delete from {name} where nr = 300")
    assert verify(shop, table, "n < 100") == (DIFFERENT, (rows, rows - 1), (2, 1, 1))
    assert verify(shop, table, "id between 200 and 400") == (DIFFERENT, (201, 200), (1, 0, 0))
    assert verify(shop, table, "n > 7000 and id > 400") == (EQUAL, (13000, 13000), (0, 0, 0))


def test_what_the_target_has_not_got_is_refused(shop):
    """Also a column of this name that the target alone has."""
    for where in ("secret = 'x'", "name = 'Name 1'", "at > '2020-01-01'", "shop.id = 5", "ctid = '(0,1)'", "shop::text like '%x%'"):
        for words in (("table copy", "public.shop"), ("verify", "--table", "public.shop")):
            result = shop.engine.command(*words, "--where", where)
            assert result.returncode == 2 and "the condition uses more than columns whose values the rule for public.shop leaves alone" in result.stderr, result.stderr
            assert "use only these columns, without the table's name: \"id\", \"n\"" in result.stderr, result.stderr
    assert is_copied(shop)
