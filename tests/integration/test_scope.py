# SPDX-License-Identifier: Apache-2.0
"""source.tables is what is replicated, or an error; and a publication of pgcdc's own never hurts the source."""

import json
import re
import subprocess

import pytest

from support.wait import wait_until

AB = "create table a (id int primary key); create table b (id int primary key); insert into a values (1); insert into b values (1)"


def run(pipeline):
    return pipeline.engine.command("run", "--until", "caught-up")


def refused(pipeline, *texts):
    """run is exit 2 with every text; check finds a problem too."""
    result = run(pipeline)
    assert result.returncode == 2, result.stderr
    for text in texts:
        assert text in result.stderr, result.stderr
    assert pipeline.engine.json("check")["problems"] > 0
    return result.stderr


def findings(pipeline, code):
    return [finding for finding in pipeline.engine.json("check")["findings"] if finding["code"] == code]


# What is named, and what is sent

def test_a_table_named_later_is_no_silent_gap(pipeline):
    pipeline.source_configuration["tables"] = ["public.a"]
    pipeline.source.execute(AB)
    pipeline.engine.catch_up()
    pipeline.source_configuration["tables"] = ["public.a", "public.b"]
    said = refused(pipeline, '"public"."b"', "pgcdc table add -c ")
    assert said.count(" error ") == 1, "check's finding is the same error, and was printed, too"
    result = pipeline.engine.command("verify")
    assert result.returncode == 2 and '"public"."b"' in result.stderr and "not compared" in result.stderr
    fix = findings(pipeline, "publication_lacks_table")[0]["fix"]
    assert fix.startswith("pgcdc table add -c "), "after alter publication alone the next run stops: the rows have no copy"
    subprocess.run(["bash", "-c", fix.replace("pgcdc", str(pipeline.engine.program), 1)], check=True, cwd=pipeline.engine.folder)
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_table_named_no_more_is_not_replicated(pipeline):
    pipeline.source_configuration["tables"] = ["public.a", "public.b"]
    pipeline.source.execute(AB)
    pipeline.engine.catch_up()
    pipeline.source_configuration["tables"] = ["public.a"]
    pipeline.source.execute("insert into b values (2)")
    assert refused(pipeline, '"public"."b"', "source.tables does not list").count(" error ") == 1
    assert pipeline.target.value("select count(*) from b") == 1
    pipeline.source.execute(findings(pipeline, "publication_has_more")[0]["fix"])
    assert findings(pipeline, "publication_has_more") == []


@pytest.mark.parametrize("tables, text", [(["public.a", "public.nowhere"], "public.nowhere"), (["public.*", "sales.*"], "sales.*"),
                                          (["public.a", "public.log"], "unlogged")])
def test_an_entry_that_stands_for_nothing(pipeline, tables, text):
    pipeline.source.execute(AB + "; create unlogged table log (id int primary key)")
    pipeline.source_configuration["tables"] = tables
    refused(pipeline, text)
    assert pipeline.slot() is None
    pipeline.source_configuration["tables"] = ["public.a", "public.b"]
    pipeline.engine.catch_up()
    pipeline.source_configuration["tables"] = tables
    refused(pipeline, text)


def test_any_name_can_be_named(pipeline):
    pipeline.source.execute('create schema "a.b"; create table "a.b"."c ""d*" (id int primary key); create table "a.b"."c ""d2" (id int primary key);'
                            'create table a (id int primary key); insert into "a.b"."c ""d*" values (1)')
    pipeline.source_configuration["tables"] = ['"a.b"."c ""d*"', 'public."a"']
    pipeline.engine.catch_up()
    assert pipeline.source.execute("select tablename from pg_publication_tables order by 1") == [("a",), ('c "d*',)]
    pipeline.assert_equal()


def test_a_prepared_publication_has_to_agree(pipeline):
    pipeline.source.execute(AB + "; create publication shop for table a")
    refused(pipeline, '"public"."b"', "alter publication")
    assert pipeline.slot() is None
    pipeline.source.execute('alter publication "shop" add table "public"."b"; create schema s; create table s.c (id int primary key);'
                            "alter publication shop add table s.c")
    refused(pipeline, '"s"."c"')
    assert pipeline.slot() is None
    pipeline.source.execute('alter publication "shop" drop table "s"."c"')
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_newcomer_that_a_pattern_takes_is_warned_of(pipeline):
    """The application may create a table at any time; that must not stop what runs."""
    pipeline.source.execute(AB)
    pipeline.start()
    pipeline.source.execute("create table newcomer (id int primary key); insert into a values (2)")
    pipeline.assert_follows()
    wait_until(lambda: '"public"."newcomer"' in pipeline.engine.log_text(), "a word about the new table")
    pipeline.engine.stop()
    assert '"public"."newcomer"' in run(pipeline).stderr
    assert pipeline.engine.command("verify").returncode == 2


def test_a_table_made_again_stops_what_names_it(pipeline):
    pipeline.source_configuration["tables"] = ["public.a", "public.b"]
    pipeline.source.execute(AB)
    pipeline.start()
    pipeline.source.execute("drop table a; create table a (id int primary key); insert into a values (7); insert into b values (7)")
    assert pipeline.engine.wait_exit() == 2
    assert '"public"."a"' in pipeline.engine.log_text()
    refused(pipeline, '"public"."a"')


def test_a_table_made_again_is_said_where_the_publication_decides(pipeline):
    del pipeline.source_configuration["tables"]
    pipeline.source.execute(AB + "; create publication shop for table a, b")
    pipeline.start()
    pipeline.source.execute("drop table a; create table a (id int primary key); insert into a values (7); insert into b values (7)")
    wait_until(lambda: 'no longer sends "public"."a"' in pipeline.engine.log_text(), "a word about the table")


def test_an_altered_publication_gets_nothing_through(pipeline):
    pipeline.source_configuration["tables"] = ["public.a"]
    pipeline.source.execute(AB)
    pipeline.target.execute("create table b (id int primary key)")
    pipeline.start()
    pipeline.source.execute("insert into a values (2); alter publication shop add table b; insert into b values (2)")
    assert pipeline.engine.wait_exit() == 2
    assert '"public"."b"' in pipeline.engine.log_text()
    assert pipeline.target.value("select count(*) from b") == 0


def test_a_partition_made_while_running_is_its_roots(pipeline):
    """The publication sends it by itself, and source.tables lists only the root: what was sent at the start knows nothing of it."""
    pipeline.source_configuration["tables"] = ["public.p"]
    pipeline.execute_both("create table p (id int primary key) partition by range (id); "
                          "create table p_1 partition of p for values from (0) to (10)")
    pipeline.source.execute("create publication shop for table p with (publish_via_partition_root = false); insert into p values (1)")
    pipeline.start()
    pipeline.execute_both("create table p_2 partition of p for values from (10) to (20)")
    pipeline.source.execute("insert into p values (2), (11), (12); delete from p where id = 12")
    pipeline.assert_follows("public.p")


def test_a_leaf_whose_root_is_sent_is_its_roots(pipeline):
    """The server announces the root, then the leaf whose row it is; the leaf's name was taken for a table that is not listed."""
    pipeline.source_configuration["tables"] = ["public.p"]
    pipeline.execute_both("create table p (id int primary key) partition by range (id); "
                          "create table p_0 partition of p for values from (0) to (10) partition by range (id); "
                          "create table p_1 partition of p_0 for values from (0) to (5)")
    pipeline.source.execute("create publication shop for table p with (publish_via_partition_root = true)")
    pipeline.start()
    pipeline.execute_both("create table p_2 partition of p_0 for values from (5) to (10)")
    pipeline.source.execute("insert into p values (1), (2), (6), (7)")
    pipeline.source.execute("delete from p where id in (2, 7); update p set id = 3 where id = 1")
    pipeline.assert_follows("public.p")


# A publication of pgcdc's own

@pytest.mark.parametrize("shape", ["(v text)", "(v text); alter table other replica identity nothing",
                                   "(id int primary key deferrable)", "(id int) partition by list (id); create table leaf partition of other default"])
def test_a_table_without_identity_is_not_published(pipeline, shape):
    del pipeline.source_configuration["tables"]
    pipeline.source.execute(f"create table t (id int primary key); create table other {shape}")
    name = '"public"."leaf"' if "leaf" in shape else '"public"."other"'
    refused(pipeline, name, "replica identity")
    pipeline.source.execute("delete from other")
    assert pipeline.slot() is None and pipeline.source.execute("select from pg_publication") == []
    pipeline.source.execute(findings(pipeline, "replica_identity")[0]["fix"])
    pipeline.engine.catch_up()
    pipeline.source.execute("delete from other")


@pytest.mark.parametrize("kind, identity", [("stored", "full"), ("virtual", "full"), ("stored", "default"), ("stored", "index")])
def test_a_generated_column_in_the_identity(new_pipeline, shared_clusters, kind, identity):
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target"))
    key = {"full": "", "default": ", primary key (g)", "index": ", unique (g)"}[identity]
    more = {"full": "alter table t replica identity full", "default": "select", "index": "alter table t alter g set not null; alter table t replica identity using index t_g_key"}[identity]
    pipeline.source.execute(f"create table t (a int, g int generated always as (a * 2) {kind}{key}); {more}; insert into t values (1)")
    refused(pipeline, '"public"."t"')
    pipeline.source.execute("update t set a = 2")
    pipeline.source.execute(findings(pipeline, "replica_identity")[0]["fix"])
    pipeline.engine.catch_up()
    pipeline.source.execute("update t set a = 3")
    pipeline.engine.catch_up()
    assert pipeline.target.value("select a from t") == 3


def test_a_table_made_later_is_warned_of_at_the_start(pipeline):
    del pipeline.source_configuration["tables"]
    pipeline.source.execute(AB)
    pipeline.engine.catch_up()
    pipeline.source.execute("create table later (v text)")
    assert 'refuses updates and deletes of "public"."later"' in run(pipeline).stderr


def test_a_publication_that_the_file_names_is_not_made(pipeline):
    pipeline.source_configuration["publication"] = "shpo"
    pipeline.source.execute(AB)
    log = refused(pipeline, 'create publication "shpo" for table "public"."a", "public"."b" with')
    assert pipeline.source.execute("select from pg_publication") == []
    assert log.count(";:") == 0
    pipeline.source.execute(findings(pipeline, "publication_missing")[0]["fix"])
    pipeline.engine.catch_up()
    pipeline.assert_equal()


KEYLESS = AB + "; create table log (v text); insert into log values ('x')"


@pytest.mark.parametrize("way", ["added to the publication", "in a publication to create"])
def test_a_table_gets_its_replica_identity_before_it_is_published(pipeline, way):
    """What check printed for a table without a key made the source refuse its updates; the next check said so."""
    pipeline.source.execute(KEYLESS)
    pipeline.source_configuration["tables"] = ["public.*"]
    if way == "added to the publication":
        pipeline.source.execute("create publication shop for table a")
    else:
        pipeline.source_configuration["publication"] = "shop"
    publishes = 'publication "shop" ' + ("add" if "added" in way else "for")
    log = refused(pipeline, "replica identity")
    printed = pipeline.engine.command("check", "--sql", "source").stdout
    for text in (log, printed):
        assert text.index("replica identity full") < text.index(publishes)
    for statement in re.findall(r"^alter .*;|^create .*;", printed, re.MULTILINE):
        pipeline.source.execute(statement)
        pipeline.source.execute("update log set v = v")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


# Several publications

def test_several_publications_are_one_pipeline(pipeline):
    pipeline.source_configuration["publications"] = ["first", 'the "second"']
    pipeline.source.execute(AB + "; create table c (id int primary key, v int); insert into c select g, g from generate_series(1, 30) g;"
                            "create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (100);"
                            "insert into p values (1); create publication first for table a, c where (v < 10), p1;"
                            'create publication "the ""second""" for table b, c where (v > 20), p with (publish_via_partition_root = true)')
    report = json.loads(pipeline.engine.command("check", "--json").stdout)
    assert report["problems"] == 0, report
    pipeline.start()
    pipeline.source.execute("insert into a values (2); insert into b values (2); insert into c values (31, 5), (32, 15), (33, 25); insert into p values (2)")
    pipeline.wait_applied()
    pipeline.assert_equal("public.a", "public.b", "public.p")
    assert pipeline.target.value("select count(*) from c") == 9 + 10 + 2
    assert pipeline.engine.command("verify").returncode == 0
    pipeline.engine.stop()
    pipeline.source.execute("drop publication first")
    pipeline.assert_refused("publication")


def test_one_of_several_is_missing(pipeline):
    pipeline.source_configuration["publications"] = ["first", "second"]
    pipeline.source.execute(AB + "; create publication first for table a, b")
    refused(pipeline, "first, second")
    pipeline.source.execute("create publication second for table a")
    pipeline.engine.catch_up()


# Unlogged tables at the target

UNLOGGED = [
    ("public.t", "create unlogged table t (id int primary key)"),
    ('public."U 1"', 'create table t (id int primary key) partition by range (id); create unlogged table "U 1" partition of t default'),
]


@pytest.mark.parametrize("name, tables", UNLOGGED)
def test_an_unlogged_table_at_the_target_is_refused(pipeline, name, tables):
    """Its rows are lost in a crash, and the position, which is WAL-logged, says that they exist."""
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.target.execute(tables)
    pipeline.source_configuration["snapshot"] = "never"
    run(pipeline)
    pipeline.source.execute("insert into t values (1)")
    refused(pipeline, f"{name} set logged")
    pipeline.target.execute(findings(pipeline, "target_unlogged")[0]["fix"])
    pipeline.engine.catch_up()
    pipeline.assert_equal()


@pytest.mark.parametrize("name, tables", UNLOGGED)
def test_the_copy_makes_an_empty_table_logged(pipeline, name, tables):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.target.execute(tables)
    assert name in findings(pipeline, "target_unlogged")[0]["what"]
    role = f"loader_{pipeline.target.name}"
    pipeline.target.execute(f"create role {role} login; grant all on schema public to {role}; grant create on database {pipeline.target.name} to {role};"
                            f"grant all on all tables in schema public to {role}")
    owner, pipeline.sink_configuration["dsn"] = pipeline.sink_configuration["dsn"], pipeline.target.dsn(role)
    refused(pipeline, f"{name} set logged")
    pipeline.sink_configuration["dsn"] = owner
    pipeline.engine.command("drop")
    pipeline.target.execute(f"drop owned by {role} cascade; drop role {role}")
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select relname from pg_class where relpersistence = 'u'") == []
    pipeline.assert_equal()


# Tables that are gone

def test_a_scratch_table_that_is_gone_stops_nothing(pipeline):
    """A job makes a table, fills it and drops it; the definition is gone with it, so it could not be created at the target."""
    del pipeline.source_configuration["tables"]
    pipeline.source.execute("create table t (id int primary key, v text); insert into t values (1, 'a')")
    pipeline.engine.catch_up()
    for number in range(3):
        pipeline.source.execute(f"create table scratch{number} (x int primary key); insert into scratch{number} select generate_series(1, 100)")
        pipeline.source.execute(f"update scratch{number} set x = x + 1000; insert into t values ({number + 10}, 'b'); truncate scratch{number}")
    pipeline.source.execute("insert into t values (2, 'c'); truncate scratch0, scratch1; drop table scratch0; drop table scratch1; drop table scratch2")
    log = pipeline.engine.catch_up().stderr
    assert all(f'"public"."scratch{number}"' in log for number in range(3))
    pipeline.assert_equal("public.t")


@pytest.mark.parametrize("then", ["alter table scratch rename to kept", "select"])
def test_a_table_that_is_still_there_is_not_left_out(pipeline, then):
    del pipeline.source_configuration["tables"]
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.source.execute("create table scratch (x int primary key); insert into scratch values (1)")
    pipeline.source.execute(then)
    result = run(pipeline)
    assert result.returncode == 1 and '"public"."scratch"' in result.stderr


def test_a_sink_that_is_its_own_source_is_refused(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.sink_configuration["dsn"] = pipeline.source.dsn() + " application_name=other"
    pipeline.source_configuration["snapshot"] = "never"
    refused(pipeline, "own database")
    pipeline.source_configuration["snapshot"] = "initial"
    assert refused(pipeline, "own database").count(" error ") == 1, "that its tables have rows is no other problem"
    assert pipeline.slot() is None


def test_many_tables_without_identity_are_counted_and_check_lists_them(pipeline):
    """An error has room for some of the names: it says how many more there are, and where to find all of them."""
    pipeline.source.execute("; ".join(f"create table without_a_key_of_any_kind_{number} (a int)" for number in range(60)))
    log = pipeline.assert_refused("is not created", "pgcdc check prints the SQL for each", code=2)
    shown = re.search(r"replica identity: (.*?) and (\d+) more;", log)
    assert shown and len(shown[1].split(", ")) + int(shown[2]) == 60, log
    fixes = pipeline.engine.command("check", "--sql", "source").stdout
    assert fixes.count("replica identity full;") == 60
