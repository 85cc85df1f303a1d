# SPDX-License-Identifier: Apache-2.0
"""The seam between the initial copy and the stream: changes during the copy are neither lost nor duplicated."""

import threading

import pytest


def change_everything(database, stop, errors, writer):
    """Inserts, updates, deletes and key changes until told to stop. writer: 0 or 1, for keys of its own."""
    try:
        connection = database.connect()
        with connection.cursor() as cursor:
            number = 0
            while not stop.is_set():
                number += 1
                cursor.execute(f"insert into journal values ({number}); update t set v = v + 1 where id % 1000 = {number % 1000};"
                               f"delete from t where id = {number * 7 % 100000};"
                               f"update t set id = id + 1000000 where id = {number * 11 % 100000};"
                               f"insert into t values ({2000000 + 2 * number + writer}, 9, repeat('x', 3000))")
        connection.close()
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)


@pytest.mark.threads
@pytest.mark.parametrize("user_type", [False, True], ids=["binary", "text"])
def test_changes_during_the_copy_arrive_once(pipeline, user_type):
    pipeline.source.execute("create table t (id int primary key, v int, pad text); create table journal (seq bigint);"
                            "insert into t select g, 0, repeat('p', 100) from generate_series(1, 100000) g")
    if user_type:
        pipeline.source.execute("create type mood as enum ('a'); alter table t add column m mood default 'a'")
    pipeline.publish()
    stop, errors = threading.Event(), []
    writers = [threading.Thread(target=change_everything, args=(pipeline.source, stop, errors, n)) for n in range(2)]
    for writer in writers:
        writer.start()
    pipeline.start()
    stop.set()
    for writer in writers:
        writer.join()
    assert not errors
    assert pipeline.source.value("select count(*) from journal") > 0
    pipeline.assert_follows()


def test_what_is_missing_is_created(pipeline):
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute("""create schema shop; create table shop.t (id bigint generated always as identity, name varchar(20) not null,
        price numeric(10,2), at timestamptz(3), primary key (name, id)); insert into shop.t (name) values ('a')""")
    pipeline.start()
    pipeline.assert_equal()
    columns = """select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute where attrelid = 'shop.t'::regclass
                 and attnum > 0 order by attnum"""
    assert pipeline.target.execute(columns) == pipeline.source.execute(columns)
    key = """select array_agg(attname order by k.n) from pg_index, unnest(indkey) with ordinality k(a, n)
             join pg_attribute on attrelid = 'shop.t'::regclass and attnum = k.a where indrelid = 'shop.t'::regclass and indisprimary"""
    assert pipeline.target.value(key) == pipeline.source.value(key)


def test_many_empty_and_full_tables(pipeline):
    pipeline.source.execute("".join(f"create table t{n} (id int primary key, v text); insert into t{n} select g, 'v' from "
                                    f"generate_series(1, {n % 5 * 10}) g;" for n in range(200)))
    pipeline.execute_both("create table parent (id int primary key, v text); create table child (primary key (id)) inherits (parent)")
    pipeline.source.execute("""insert into child values (1, 'not of its parent');
        create table parts (id int primary key, v text) partition by range (id); create table parts_1 partition of parts for values from (0) to (9);
        create table none (id int primary key) partition by range (id); create table none_1 partition of none for values from (0) to (9);
        insert into parts values (1, 'v'); create table gone (id int primary key); insert into gone values (1); delete from gone""")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_the_copy_and_the_stream_agree_on_every_value(pipeline):
    """One row copied, the same row streamed: the target cannot tell which came which way."""
    columns = "u uuid, f float4, d float8, n numeric, ts timestamptz, i interval, b bytea, j json, a text[], p point"
    values = """'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 0.1, 1e-310, 1.10, '2024-01-01 00:00:00.123456+00', '1 mon -1 day', '\\x00ff', '{"b" : 1}',
                '{a,NULL}', '(0.1,-0)'"""
    pipeline.source.execute(f"create table t (id int primary key, {columns}); insert into t values (1, {values})")
    pipeline.start()
    pipeline.source.execute(f"insert into t values (2, {values})")
    pipeline.assert_follows()
    assert pipeline.target.value("select count(distinct (t.*)::text) from (select " +
                                 ", ".join(column.split()[0] for column in columns.split(", ")) + " from t) t") == 1
