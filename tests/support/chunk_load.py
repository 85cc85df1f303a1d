# SPDX-License-Identifier: Apache-2.0
"""Traffic against a copy in chunks: keys that move between chunks, unsent large values, TRUNCATE, open transactions."""

import random
import threading
import time

import psycopg2

COUNT = 20000
SCHEMA = """
create table number (id int primary key, n bigint not null, pad text);
create table wide (id bigint primary key, title text, body text);
alter table wide alter body set storage external;
create table ident (id uuid primary key, n int, pad text) with (autovacuum_enabled = off);
create table scattered (id uuid primary key, n int, pad text);
create table pair (a int, b text, n int, pad text, primary key (a, b)) with (autovacuum_enabled = off);
create table words (word text collate "C" primary key, n int, pad text) with (autovacuum_enabled = off);
alter table words alter word set storage external;
create domain naming as varchar(3000) collate "POSIX";
create table names (name naming primary key, n int, pad text) with (autovacuum_enabled = off);
create table days (day date primary key, n int, pad text);
create table moments (at timestamptz primary key, n int, pad text);
create table prints (print bytea primary key, n int, pad text) with (autovacuum_enabled = off);
create table amounts (amount numeric primary key, n int, pad text);
create table titles (title text collate "en-x-icu" primary key, n int, body text) with (autovacuum_enabled = off);
alter table titles alter body set storage external;
create table labels (label text primary key, n int, pad text);
create type mood as enum ('sad', 'ok', 'happy', 'even ''"\\ happier');
create table moods (mood mood, id int, n int, pad text, primary key (mood, id)) with (autovacuum_enabled = off);
create table heap (n int, pad text);
alter table heap replica identity full;
create table twins (id int primary key, code int unique, pad text);
create table whole (id int primary key, n int, pad text);
alter table whole replica identity full;
create table tree (id int, n int, pad text, primary key (id)) partition by range (id);
create table tree_low partition of tree for values from (minvalue) to (5000);
create table tree_high partition of tree for values from (5000) to (maxvalue);
create table brief (id int primary key, n int);
"""
ROWS = f"""
insert into number select g, 0, repeat('p', 50) from generate_series(1, {COUNT}) g;
insert into wide select g, 't', (select string_agg(md5(g::text || x), '') from generate_series(1, 80) x) from generate_series(1, 600) g;
insert into ident select md5(g::text)::uuid, g, repeat('i', 60) from generate_series(1, 8000) g;
insert into scattered select md5(g::text)::uuid, g, repeat('s', 60) from generate_series(1, 4000) g;
analyze scattered;
insert into pair select g % 500, g::text, g, repeat('q', 40) from generate_series(1, 8000) g;
insert into words select 'word ' || g, g, repeat('w', 50) from generate_series(1, 3000) g;
insert into words select 'wordy ' || g || repeat('y', 2500), g from generate_series(1, 30) g;
insert into names select 'Näme ' || g, g, repeat('n', 50) from generate_series(1, 3000) g;
insert into days select date '1900-01-01' + g, g, repeat('d', 60) from generate_series(1, 3000) g;
insert into days values ('infinity', 0), ('-infinity', 0), ('0044-03-15 BC', 0);
insert into moments select timestamptz '1999-06-01' + g * interval '7 h', g, repeat('m', 60) from generate_series(1, 3000) g;
insert into amounts select (g - 1500) * 1.50, g, repeat('a', 60) from generate_series(1, 3000) g;
insert into amounts values ('NaN', 0), ('Infinity', 0), ('-Infinity', 0);
insert into titles select case g % 3 when 0 then 'Title ' when 1 then 'title-' else 'Títle ' end || g, 0,
  (select string_agg(md5(g::text || x), '') from generate_series(1, 80) x) from generate_series(1, 600) g;
insert into labels select chr(65 + g % 60) || ' "label\\' || g, g, repeat('l', 60) from generate_series(1, 3000) g;
insert into moods select (enum_range(null::mood))[1 + g % 4], g, g, repeat('m', 60) from generate_series(1, 3000) g;
insert into prints select decode(md5(g::text), 'hex'), g, repeat('p', 60) from generate_series(1, 3000) g;
insert into heap select g, repeat('h', 90) from generate_series(1, 4000) g;
insert into twins select g, g, repeat('t', 60) from generate_series(1, 3000) g;
insert into whole select g, g, repeat('w', 50) from generate_series(1, 5000) g;
insert into tree select g, g, repeat('t', 50) from generate_series(1, 10000) g;
insert into brief select g, g from generate_series(1, 2000) g;
"""
# How the tables are divided; the others in any way.
METHODS = {table: "key" for table in ("number", "wide", "ident", "pair", "words", "names", "days", "moments", "prints")}
METHODS |= {"heap": "pages", "twins": "pages", "scattered": "pages"}
METHODS |= {table: "source" for table in ("amounts", "titles", "moods")}


class ChunkLoad:
    """Threads that write until stopped; a server that goes away is tried again."""

    def __init__(self, database, threads=3, pause_s=0.003, seed=0):
        self.database = database
        self.pause_s = pause_s
        self.commits = 0
        self.errors = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(seed * 1000 + number),))
                         for number in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.errors, self.errors[0]

    def _run(self, chance):
        while not self._stop.is_set():
            try:
                connection = self.database.connect(autocommit=False)
                with connection.cursor() as cursor:
                    cursor.execute("set statement_timeout = '20s'")
                    connection.commit()
                    while not self._stop.is_set():
                        self._transaction(connection, cursor, chance)
                connection.close()
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                time.sleep(0.05)
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(error)
                return

    def _transaction(self, connection, cursor, chance):
        try:
            for _ in range(chance.randint(1, 4)):
                cursor.execute(statement(chance))
                if chance.random() < 0.05:
                    time.sleep(chance.random() * 0.3)
            if chance.random() < 0.1:
                connection.rollback()
            else:
                connection.commit()
            with self._lock:
                self.commits += 1
        except (psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected):
            connection.rollback()
        time.sleep(self.pause_s)


def statement(chance):
    """One statement, or some in a savepoint."""
    number, other = chance.randint(1, COUNT), chance.randint(1, COUNT)
    wide, to = chance.randint(1, 600), chance.randint(1, 600)
    some, same = chance.randint(1, 3000), chance.randint(1, 30)
    ident, pair, tree, brief = chance.randint(1, 8000), chance.randint(1, 8000), chance.randint(1, 10000), chance.randint(1, 2000)
    return chance.choice([
        f"update number set n = n + 1 where id = {number}",
        f"update number set n = n - 1, pad = null where id between {number} and {number + 20}",
        f"delete from number where id = {number}",
        f"insert into number values ({number}, -1, 'again') on conflict do nothing",
        f"update number set id = {other} where id = {number} and not exists (select from number where id = {other})",
        f"savepoint a; delete from number where id = {number}; rollback to a; update number set n = 7 where id = {other}",
        f"update wide set title = 'seen' where id = {wide}",
        f"update wide set id = {to} where id = {wide} and not exists (select from wide where id = {to})",
        f"update wide set id = id + 100000 where id = {wide}",
        f"update wide set id = id - 100000 where id = {wide + 100000} and not exists (select from wide where id = {wide})",
        f"update wide set body = reverse(body) where id = {wide}",
        f"update ident set n = n + 1 where id = md5('{ident}')::uuid",
        f"delete from ident where id = md5('{ident}')::uuid",
        f"insert into ident values (md5('{ident}')::uuid, 0, 'back') on conflict do nothing",
        f"update ident set id = md5('{ident}x')::uuid where id = md5('{ident}')::uuid",
        f"update scattered set n = n + 1 where id = md5('{some}')::uuid",
        f"update scattered set id = md5('{some}x')::uuid where id = md5('{some}')::uuid",
        f"update scattered set id = md5('{some}')::uuid where id = md5('{some}x')::uuid",
        f"update pair set a = {pair % 500}, n = n + 1 where b = '{other % 8000}'",
        f"delete from pair where b = '{pair}'",
        f"insert into words values ('word {pair}', 0) on conflict (word) do update set n = words.n + 1",
        f"update words set n = n + 1 where word = 'wordy {same}' || repeat('y', 2500)",
        f"update words set word = 'wo' || word where word = 'word {some}'",
        f"update words set word = substr(word, 3) where word = 'woword {some}'",
        f"update names set n = n + 1 where name = 'Näme {some}'",
        f"delete from names where name = 'Näme {some}'",
        f"update days set n = n + 1 where day in (date '1900-01-01' + {some}, 'infinity', '0044-03-15 BC')",
        f"update days set day = day - 5000 where day = date '1900-01-01' + {some}",
        f"update days set day = day + 5000 where day = date '1900-01-01' + {some} - 5000",
        f"update moments set n = n + 1 where at = timestamptz '1999-06-01' + {some} * interval '7 h'",
        f"delete from moments where at = timestamptz '1999-06-01' + {some} * interval '7 h'",
        f"update prints set print = print || 'x' where print = decode(md5('{some}'), 'hex')",
        f"update prints set n = n + 1, print = decode(md5('{some}'), 'hex') where print = decode(md5('{some}'), 'hex') || 'x'",
        f"update amounts set n = n + 1 where amount in (({some} - 1500) * 1.5, 'NaN', '-Infinity')",
        f"update amounts set amount = amount + 1000000 where amount = ({some} - 1500) * 1.5",
        f"update amounts set amount = amount - 1000000 where amount = ({some} - 1500) * 1.5 + 1000000",
        f"delete from amounts where amount = ({some} - 1500) * 1.5",
        f"update titles set n = n + 1 where title = 'title-{wide}'",
        f"update titles set title = 'a ' || title where title = 'title-{wide}'",
        f"update titles set title = substr(title, 3) where title = 'a title-{wide}'",
        f"update labels set n = n + 1 where label like '% \"label\\\\{some}'",
        f"update labels set label = lower(label) where label like '% \"label\\\\{some}'",
        f"update moods set mood = 'happy', n = n + 1 where id = {some}",
        f"update moods set mood = (enum_range(null::mood))[4] where id = {some}",
        f"delete from moods where id = {some}",
        "truncate labels" if chance.random() < 0.03 else f"delete from labels where label like '% \"label\\\\{some}'",
        f"update twins set code = null where id = {some}; update twins set code = {some} where id = {other % 3000 + 1} and"
        f" not exists (select from twins where code = {some})",
        f"delete from twins where code = {some}",
        f"insert into twins values ({some}, {some}, 'back') on conflict do nothing",
        f"update heap set n = n + 1 where n = {brief}",
        f"insert into heap values ({brief}, 'more')",
        f"update whole set id = id + 50000 where id = {brief}",
        f"update whole set n = n + 1 where id = {brief}",
        f"update tree set id = {tree + 3} where id = {tree} and not exists (select from tree where id = {tree + 3})",
        f"update tree set n = n + 1 where id = {tree}",
        f"delete from tree where id = {tree}",
        f"insert into brief values ({brief}, 0) on conflict (id) do update set n = brief.n + 1",
        "truncate brief" if chance.random() < 0.2 else f"delete from brief where id = {brief}",
        "truncate whole" if chance.random() < 0.02 else f"delete from whole where id = {brief}",
    ])
