# SPDX-License-Identifier: Apache-2.0
"""Whatever odd objects a source's catalog has, used or not, its tables are copied and followed."""

import pytest

# Objects that are rarely made on purpose, and those that DROP leaves. None of it has to do with table plain.
ODD = """
    create type nothing as ();
    create type shrunk as (a int, b text); alter type shrunk drop attribute a; alter type shrunk drop attribute b;
    create type shell;
    create type no_label as enum ();
    create type huge as enum ({labels});
    create type odd_range as range (subtype = text);
    create domain over as nothing; create domain over_again as over; create domain checked as int check (value > 0);
    create type deep as (a nothing[], b huge, c over_again[]);
    create table no_column (); create table emptied (a int, b text); alter table emptied drop column a, drop column b;
    create table tree (id int, label text); create type branch as (trees tree[], self text);
    create view looks as select 1 as one; create materialized view kept as select 2 as two; create sequence counts;
    create table parted (id int, k int) partition by list (k); create table parted_not (id int) partition by range (id);
    create unlogged table unlogged (id int); create table kept_from (id int generated always as identity, a nothing, b no_label);
    create foreign data wrapper wrapper; create server far foreign data wrapper wrapper; create foreign table away (a int) server far;
    create table has_rule (id int); create rule silent as on insert to has_rule do instead nothing;
    create statistics about on id, label from tree;
    create function broken() returns int language sql as 'select 1'; create aggregate nobody (int) (sfunc = int4pl, stype = int);
    create table plain (id int primary key, v text); insert into plain values (1, 'x')"""


@pytest.mark.parametrize("version", ["14", "18"])
def test_what_published_tables_do_not_use_stops_nothing(new_pipeline, shared_clusters, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target"))
    pipeline.source.execute(ODD.format(labels=", ".join(f"'label {n}'" for n in range(5000))))
    pipeline.source_configuration["tables"] = ["public.plain"]
    pipeline.target.execute("create table plain (id int primary key, v text)")
    assert pipeline.engine.command("check").returncode == 0
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into plain values (2, 'y')")
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.plain")
    assert pipeline.engine.command("verify").returncode == 0


def test_types_without_attributes_or_labels_are_copied_and_followed(pipeline):
    """A composite type without attributes made format('%I', null) of the question for its definition."""
    pipeline.source.execute("""
        create type nothing as ();
        create type shrunk as (a int, b text); alter type shrunk drop attribute a; alter type shrunk drop attribute b;
        create type no_label as enum (); create domain over as nothing; create type deep as (a nothing[], b no_label, c over[]);
        create table odd (id int primary key, n nothing, s shrunk, e no_label, d deep, o over);
        insert into odd values (1, row(), row(), null, row(array[row()::nothing], null, null)::deep, row()::nothing);
        create table no_column (); alter table no_column replica identity full; insert into no_column default values""")
    pipeline.start()
    pipeline.source.execute("insert into odd values (2, row(), null, null, row(array[row()::nothing], null, array[row()::over])::deep, null);"
                            "update odd set n = null, o = row()::nothing where id = 1; insert into no_column default values")
    pipeline.assert_follows()
