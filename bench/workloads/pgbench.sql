-- Imitates a busy order system: pgbench's TPC-B, five statements a transaction, one of them an insert into a table
-- without a key. The branches are few, so many changes fall on the same rows.
-- rows: 100000
-- quick: 10000
-- clients: 4

-- [schema]
create table pgbench_branches (bid integer primary key, bbalance integer, filler character(88));
create table pgbench_tellers (tid integer primary key, bid integer, tbalance integer, filler character(84));
create table pgbench_accounts (aid integer primary key, bid integer, abalance integer, filler character(84));
create table pgbench_history (
    tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler character(22));

-- [rows]
insert into pgbench_branches select g, 0, null from generate_series(1, 10) g;
insert into pgbench_tellers select g, (g - 1) / 10 + 1, 0, null from generate_series(1, 100) g;
insert into pgbench_accounts select g, (g - 1) / 100000 + 1, 0, '' from generate_series(1, 1000000) g;

-- [pgbench]
\set aid random(1, 1000000)
\set bid random(1, 10)
\set tid random(1, 100)
\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_tellers set tbalance = tbalance + :delta where tid = :tid;
update pgbench_branches set bbalance = bbalance + :delta where bid = :bid;
insert into pgbench_history (tid, bid, aid, delta, mtime)
values (:tid, :bid, :aid, :delta, current_timestamp);
end;
