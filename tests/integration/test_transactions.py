# SPDX-License-Identifier: Apache-2.0
"""Transactions of every shape: large, empty, interleaved, nested, prepared, truncating, with and without foreign keys."""

import io
import threading

import pytest

from support.wait import wait_until


def test_rows_that_share_an_lsn(pipeline):
    """COPY writes many rows under one LSN; a reader that skips by LSN loses the rest of them."""
    pipeline.source.execute("create table t (id bigint primary key, v text)")
    pipeline.start()
    connection = pipeline.source.connect()
    with connection.cursor() as cursor:
        cursor.execute("insert into t select g, 'a' from generate_series(1, 500) g")
        cursor.copy_expert("copy t from stdin", io.StringIO("".join(f"{n}\tb\n" for n in range(501, 2000))))
    connection.close()
    pipeline.assert_follows()


def test_commits_in_another_order_than_begins(pipeline):
    pipeline.source.execute("create table t (id bigint primary key, v text)")
    pipeline.start()
    first = pipeline.source.connect(autocommit=False)
    with first.cursor() as cursor:
        cursor.execute("insert into t values (1, 'begins first')")
    pipeline.source.execute("insert into t values (2, 'commits first')")
    pipeline.wait_applied()
    pipeline.engine.stop()
    first.commit()
    first.close()
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_empty_and_unpublished_transactions(pipeline):
    pipeline.source_configuration["tables"] = ["public.t"]
    pipeline.source.execute("create table t (id bigint primary key); create table unpublished (x int)")
    pipeline.start()
    for number in range(20):
        pipeline.source.execute("insert into unpublished values (1)")
        pipeline.source.execute(f"begin; insert into t values ({-1 - number}); rollback")
        pipeline.source.execute("select txid_current()")
        pipeline.source.execute(f"insert into t values ({number})")
        pipeline.source.execute("select pg_logical_emit_message(true, 'x', 'y'), pg_logical_emit_message(false, 'x', 'y')")
    pipeline.assert_follows()


def test_subtransactions(pipeline):
    pipeline.source.execute("create table t (id bigint primary key, v text)")
    pipeline.start()
    pipeline.source.execute("""begin; insert into t values (1, 'a');
        savepoint a; insert into t select g, 'rolled back' from generate_series(100, 5000) g; rollback to a;
        savepoint b; insert into t values (2, 'b'); savepoint c; update t set v = 'c' where id = 2; release b;
        savepoint d; delete from t; rollback to d; insert into t values (3, 'd'); commit""")
    pipeline.source.execute("""do $$ begin for n in 10..200 loop
        begin insert into t values (n, 'loop'); if n % 3 = 0 then raise exception 'no'; end if;
        exception when others then null; end; end loop; end $$""")
    pipeline.assert_follows()
    assert pipeline.target.value("select count(*) from t where v = 'rolled back'") == 0


def test_prepared_transactions(pipeline):
    pipeline.source.execute("create table t (id bigint primary key)")
    pipeline.start()
    pipeline.source.execute("begin; insert into t values (1); prepare transaction 'one'")
    pipeline.source.execute("begin; insert into t values (2); prepare transaction 'two'")
    pipeline.source.execute("insert into t values (3)")
    pipeline.assert_follows()
    pipeline.source.execute("commit prepared 'one'")
    pipeline.source.execute("rollback prepared 'two'")
    pipeline.assert_follows()
    assert pipeline.target.execute("select id from t order by id") == [(1,), (3,)]


def test_a_large_transaction_with_bounded_memory(pipeline):
    pipeline.source.execute("create table t (id bigint primary key, v text); create table unpublished (id bigint, v text)")
    pipeline.source_configuration["tables"] = ["public.t"]
    pipeline.start()
    pipeline.source.execute("""begin; insert into t select g, repeat('x', 200) from generate_series(1, 300000) g;
        savepoint a; insert into t select g, 'rolled back' from generate_series(900001, 950000) g; rollback to a;
        update t set v = 'y' where id <= 1000;
        insert into unpublished select g, repeat('z', 500) from generate_series(1, 50000) g; commit""")
    pipeline.wait_applied()
    peak_kb = peak_memory_kb(pipeline.engine.process.pid)
    pipeline.assert_equal()
    if "san" not in str(pipeline.engine.program):
        assert peak_kb < 128 * 1024, f"the engine's peak is {peak_kb} kB"


def change_many_tables(pipeline, tables, columns):
    """Copies empty tables, then one transaction inserts a row into each of them."""
    list_of_columns = ", ".join(f"a_column_{n} int" for n in range(columns - 1))
    for first in range(1, tables + 1, 1500):
        pipeline.execute_both(f"""do $$ begin for n in {first}..{min(first + 1499, tables)} loop
            execute format('create table t%s (id int primary key, {list_of_columns})', n); end loop; end $$""")
    pipeline.engine.catch_up(timeout_s=600)
    pipeline.start()
    pipeline.source.execute(f"""do $$ begin for n in 1..{tables} loop
        execute format('insert into t%s (id) values (%s)', n, n); end loop; end $$""")
    pipeline.wait_applied(deadline_s=300)
    assert pipeline.target.value("select sum((xpath('/row/c/text()', query_to_xml('select count(*) as c from ' || oid::regclass, false, true, '')))"
                                 "[1]::text::int) from pg_class where relname ~ '^t[0-9]+$' and relkind = 'r'") == tables
    return peak_memory_kb(pipeline.engine.process.pid)


def test_one_transaction_changes_1500_tables(pipeline):
    peak_kb = change_many_tables(pipeline, 1500, 30)
    if "san" not in str(pipeline.engine.program):
        assert peak_kb < 128 * 1024, f"the engine's peak is {peak_kb} kB"


@pytest.mark.long
def test_one_transaction_changes_9000_tables_of_100_columns(new_pipeline, own_cluster):
    """The memory for the target's tables was used up, and each attempt began again with none, forever."""
    settings = {"max_locks_per_transaction": 4000}
    pipeline = new_pipeline(own_cluster("source", settings=settings), own_cluster("target", settings=settings))
    peak_kb = change_many_tables(pipeline, 9000, 100)
    if "san" not in str(pipeline.engine.program):
        assert peak_kb < 320 * 1024, f"the engine's peak is {peak_kb} kB"


def test_a_row_of_50_mb(pipeline):
    pipeline.source.execute("create table t (id bigint primary key, v text, n int)")
    pipeline.source.execute("insert into t values (1, repeat('s', 30 * 1024 * 1024), 0)")
    pipeline.start()
    pipeline.source.execute("insert into t values (2, repeat('w', 50 * 1024 * 1024), 0), (3, 'small', 0)")
    pipeline.source.execute("update t set n = 1; update t set id = 12 where id = 2; delete from t where id = 1")
    pipeline.assert_follows()


def peak_memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


@pytest.mark.threads
def test_readers_of_the_target_see_only_states_that_the_source_had(pipeline):
    """Money moves between accounts in many sessions; its sum never changes, whenever one looks."""
    pipeline.source.execute("create table acc (id int primary key, bal int); create table led (id serial primary key, d int);"
                            "insert into acc select g, 100 from generate_series(1, 50) g")
    pipeline.start()
    done = threading.Event()
    sums = []

    def transfer(number):
        connection = pipeline.source.connect()
        with connection.cursor() as cursor:
            for step in range(300):
                one, two = 1 + (number * 7 + step) % 50, 1 + (number * 13 + step * 3) % 50
                low, high = sorted((one, two))
                cursor.execute(f"begin; update acc set bal = bal - 10 where id = {low}; update acc set bal = bal + 10 where id = {high};"
                               "insert into led (d) values (0); commit")
        connection.close()

    def read():
        connection = pipeline.target.connect()
        with connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("select sum(bal), count(*) from acc")
                sums.append(cursor.fetchone())
        connection.close()

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=transfer, args=(number,)) for number in range(6)]
    for thread in [reader, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    pipeline.wait_applied()
    done.set()
    reader.join()
    assert set(sums) == {(5000, 50)}
    pipeline.assert_equal()


# Truncate

def test_truncate_several_with_cascade_and_restart_identity(pipeline):
    pipeline.execute_both("create table parent (id int primary key); create table child (id serial primary key, p int references parent)")
    pipeline.source.execute("insert into parent values (1); insert into child (p) values (1)")
    pipeline.start()
    pipeline.source.execute("""begin; insert into parent values (2); truncate parent restart identity cascade; insert into parent values (3);
                               insert into child (p) values (3); commit""")
    pipeline.assert_follows()
    pipeline.source.execute("truncate child, parent")
    pipeline.source.execute("insert into parent values (9)")
    pipeline.assert_follows()


def test_truncate_between_changes_of_one_transaction(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int); create table u (id int primary key)")
    pipeline.start()
    pipeline.source.execute("""begin; insert into t select g, 1 from generate_series(1, 300) g; insert into u values (1); truncate t;
        insert into t select g, 2 from generate_series(1, 200) g; update t set v = 3 where id < 100; truncate u; truncate u; commit""")
    pipeline.assert_follows()


# Foreign keys and triggers of the target

FOREIGN_KEYS = """
create table par (id int primary key); create table chi (id int primary key, p int references par on delete cascade);
create table ca (id int primary key, b int); create table cb (id int primary key, a int references ca);
alter table ca add constraint fk_b foreign key (b) references cb deferrable initially deferred;
create table self (id int primary key, up int references self); create table audit (n int); alter table audit replica identity full;
create function trg() returns trigger language plpgsql as 'begin insert into audit values (1); return new; end';
create trigger tr after insert on chi for each row execute function trg();
"""
FOREIGN_KEY_CHANGES = [
    "begin; insert into par values (1); insert into chi values (1, 1), (2, 1); insert into ca values (1, 1);"
    "insert into cb values (1, 1); insert into self values (2, null), (1, 2); commit",
    "begin; delete from par where id = 1; insert into par select g from generate_series(10, 200) g;"
    "insert into chi select g, g from generate_series(10, 200) g; commit",
    "truncate self",
]


def give_replica_role(pipeline):
    pipeline.target.execute("grant set on parameter session_replication_role to loader")


@pytest.fixture
def loader(pipeline):
    """A plain role that owns what the pipeline needs, on the target."""
    pipeline.target.execute("drop role if exists loader; create role loader login")
    pipeline.target.execute(f'grant create on database "{pipeline.target.name}" to loader')
    pipeline.sink_configuration["dsn"] = pipeline.target.dsn(user="loader")
    yield "loader"
    pipeline.engine.close()
    pipeline.target.execute("drop owned by loader cascade; revoke set on parameter session_replication_role from loader")
    pipeline.target.execute("drop role loader")


def test_triggers_do_not_fire_again_for_a_superuser(pipeline):
    pipeline.execute_both(FOREIGN_KEYS)
    pipeline.start()
    for change in FOREIGN_KEY_CHANGES:
        pipeline.source.execute(change)
    pipeline.assert_follows()


def test_triggers_do_not_fire_again_with_the_grant(pipeline, loader):
    pipeline.execute_both(FOREIGN_KEYS)
    pipeline.target.execute("grant all on all tables in schema public to loader")
    give_replica_role(pipeline)
    pipeline.start()
    for change in FOREIGN_KEY_CHANGES:
        pipeline.source.execute(change)
    pipeline.assert_follows()


def test_without_the_grant_the_remedy_is_named(pipeline, loader):
    pipeline.execute_both(FOREIGN_KEYS)
    pipeline.target.execute("grant all on all tables in schema public to loader")
    pipeline.engine.start()
    pipeline.source.execute(FOREIGN_KEY_CHANGES[0])
    assert pipeline.engine.wait_exit() == 2, pipeline.engine.log_text()
    assert "session_replication_role" in pipeline.engine.log_text()


def test_without_the_grant_triggers_may_fire_by_configuration(pipeline, loader):
    pipeline.execute_both(FOREIGN_KEYS)
    pipeline.target.execute("drop trigger tr on chi; grant all on all tables in schema public to loader")
    pipeline.sink_configuration["triggers"] = "fire"
    pipeline.start()
    for change in FOREIGN_KEY_CHANGES:
        pipeline.source.execute(change)
    pipeline.assert_follows()


def test_always_and_replica_triggers_fire(pipeline):
    pipeline.execute_both("create table t (id int primary key, v int)")
    pipeline.target.execute("""create table seen (what text); create function see() returns trigger language plpgsql as
        'begin insert into public.seen values (tg_argv[0] || tg_op); return new; end';
        create trigger a after insert or update on t for each row execute function see('always'); alter table t enable always trigger a;
        create trigger r after insert on t for each row execute function see('replica'); alter table t enable replica trigger r;
        create trigger o after insert on t for each row execute function see('origin')""")
    pipeline.start()
    pipeline.source.execute("insert into t select g, 1 from generate_series(1, 100) g; update t set v = 2 where id <= 10")
    pipeline.assert_follows()
    assert pipeline.target.execute("select what, count(*) from seen group by 1 order by 1") == [
        ("alwaysINSERT", 100), ("alwaysUPDATE", 10), ("replicaINSERT", 100)]


def test_a_deadlock_in_the_target_is_tried_again(pipeline):
    """The engine's session is the victim: it waits for row 20, then another session waits for the rows that it holds."""
    pipeline.source.execute("create table t (id int primary key, v int); insert into t select g, 0 from generate_series(1, 20) g")
    pipeline.target.execute(f"alter database \"{pipeline.target.name}\" set deadlock_timeout = '1s'")
    pipeline.start()
    local = pipeline.target.connect(autocommit=False)
    with local.cursor() as cursor:
        cursor.execute("set deadlock_timeout = '1h'; select * from t where id = 20 for update")
        pipeline.source.execute("update t set v = 1")
        wait_until(lambda: pipeline.target.execute("select 1 from pg_locks where not granted"), "the engine to wait")
        cursor.execute("update t set v = 5 where id = 1")
    local.rollback()
    local.close()
    assert "deadlock detected" in pipeline.target.cluster.log_text()
    pipeline.assert_follows()


def test_a_cancelled_statement_is_tried_again(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.start()
    blocker = pipeline.target.connect(autocommit=False)
    with blocker.cursor() as cursor:
        cursor.execute("lock table t in access exclusive mode")
        pipeline.source.execute("insert into t values (2)")
        for _ in range(3):
            waiting = wait_until(lambda: pipeline.target.execute("select pid from pg_locks where not granted"), "the engine to wait")
            pipeline.target.execute("select pg_cancel_backend(%s)", waiting[0])
            wait_until(lambda: pipeline.target.execute("select pid from pg_locks where not granted") != waiting, "the statement to end")
    blocker.close()
    pipeline.assert_follows()
