# SPDX-License-Identifier: Apache-2.0
"""`source.pushdown: rows`: conditions that all sinks share are row filters of the publication, and the sink gets the same rows as without."""

import random

import pytest

ITEMS = """create table item (id int primary key, country text, note text); alter table item replica identity full;
    insert into item select g, case g % 3 when 0 then 'XX' when 1 then 'DE' end, repeat(md5(g::text), 100) from generate_series(1, 300) g"""
WHERE = "country <> 'XX' -- not these"
FILTERS = "select tablename, rowfilter from pg_publication_tables where pubname = 'shop' and rowfilter is not null order by 1"


@pytest.fixture
def items(pipeline):
    if pipeline.source.value("select current_setting('server_version_num')::int") < 150000:
        pytest.skip("row filters are of PostgreSQL 15")
    pipeline.source.execute(ITEMS)
    pipeline.source_configuration.update({"tables": ["public.*"], "pushdown": "rows"})
    pipeline.engine.configuration["mapping"] = [{"match": "public.item", "where": WHERE}]
    return pipeline


def rows(database, where="true"):
    return database.execute(f"select id, country, md5(note) from item where {where} order by id")


def assert_filtered(pipeline):
    pipeline.wait_applied()
    expected = rows(pipeline.source, "country <> 'XX'")
    assert expected and rows(pipeline.target) == expected


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_rows_that_no_sink_wants_are_not_sent(items, mode):
    items.engine.configuration["copy"] = {"mode": mode}
    items.start()
    assert items.source.execute(FILTERS) == [("item", "(country <> 'XX'::text)")]
    items.engine.wait_log("the condition of table public.item is a row filter of the publication now")
    assert "  the publication sends only rows where (country <> 'XX'::text)" in items.engine.command("map").stdout
    assert items.engine.json("map")["sinks"][0]["tables"][0]["row_filter"] == "(country <> 'XX'::text)"
    if mode == "live":
        items.wait_while_running(lambda: items.target.value("select count(*) from pgcdc.copy") == 0, "the copy to end")
    assert_filtered(items)
    chance = random.Random(7)
    for _ in range(60):
        country, first = chance.choice(["'XX'", "'DE'", "null", "'FR'"]), chance.randrange(300)
        items.source.execute(chance.choice([f"update item set country = {country} where id between {first} and {first + 20}",
                                            f"delete from item where id = {first}", f"update item set id = id + 1000, country = {country} where id = {first}",
                                            f"insert into item values ({first}, {country}, 'new') on conflict do nothing"]))
    assert_filtered(items)
    items.wait_while_running(lambda: "left out" not in items.engine.command("status").stdout, "no change to be left out by the mapping")
    result = items.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr
    items.engine.stop()
    assert items.engine.command("drop").returncode == 0 and items.source.execute("select from pg_publication") == []


def test_a_table_whose_old_rows_are_not_whole_keeps_its_rows(items):
    """A filter there would make the source refuse updates, or send rows without their large values."""
    items.source.execute("""create table key_only (id int primary key, v int); create table key_large (id int primary key, v text);
        create table parts (id int primary key, v int) partition by range (id); create table parts_1 partition of parts for values from (0) to (1000)""")
    items.engine.configuration["mapping"] = [{"match": "public.item", "where": "note > lower(country) and public.own(id)"}, {"match": "*.*", "where": "id > 10"}]
    for database in (items.source, items.target):
        database.execute("create function own(int) returns bool immutable language sql as 'select $1 > 5'")
    items.start()
    assert [row[0] for row in items.source.execute(FILTERS)] == ["key_only", "parts"]
    log = items.engine.log_text()
    assert "table public.key_large is not pushed into the publication: old rows would not have all it needs" in log
    assert "table public.item is not pushed into the publication: " in log
    items.source.execute("""insert into key_only select g, g from generate_series(1, 20) g; insert into key_large select g, repeat(md5(g::text), 500) from generate_series(1, 20) g;
        insert into parts select g, g from generate_series(1, 20) g; update key_only set v = 0, id = id + 100 where id > 5; update key_large set id = id + 100 where id > 10; update parts set id = id + 100 where id > 5""")
    items.wait_applied()
    for table in ("key_only", "key_large", "parts"):
        sql = f"select md5(t::text) from {table} t where id > 10 order by id"
        assert items.target.execute(sql) == items.source.execute(sql), table


def test_a_condition_that_is_not_the_filter_any_more_stops(items):
    """Rows that the new rule wants would not be sent. The remedy, followed to the letter, helps."""
    items.engine.catch_up()
    items.engine.configuration["mapping"][0]["where"] = "country is distinct from 'DE'"
    items.source.execute("insert into item values (1001, 'XX', 'wanted now'), (1002, 'DE', 'not any more')")
    result = items.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "and its rules have another condition now" in result.stderr, result.stderr
    finding, = [one for one in items.engine.json("check")["findings"] if one["severity"] == "problem" and one["code"] != "last_error"]
    assert finding["code"] == "row_filter_rule" and finding["fix"] in result.stderr, finding
    remedy = result.stderr.splitlines()[-1].split("at the source: ")[1]
    sql, rest = remedy.split("commit;")
    assert rest.strip() == "then run `pgcdc table copy public.item`, and start again"
    items.source.execute(sql + "commit")
    assert items.engine.command("table copy", "public.item").returncode == 0
    items.engine.start()
    items.wait_while_running(lambda: items.target.value("select count(*) from pgcdc.copy") == 0, "the copy to end")
    items.wait_applied()
    assert rows(items.target) == rows(items.source, "country is distinct from 'DE'")


def test_only_what_all_sinks_share_is_pushed(items):
    items.engine.configuration["sinks"].append({"name": "second", "type": "null"})
    items.engine.configuration["mapping"][0]["sinks"] = ["warehouse"]
    items.engine.catch_up()
    assert items.source.execute(FILTERS) == []


def test_without_the_option_nothing_is_pushed(items):
    del items.source_configuration["pushdown"]
    items.engine.catch_up()
    assert items.source.execute(FILTERS) == []
