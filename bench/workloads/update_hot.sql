-- Imitates popular counters: single-row updates of the same thousand rows, one a transaction.
-- The target needs a thousand rows at the end, but receives each of their versions.
-- rows: 200000
-- quick: 20000
-- clients: 4

-- [schema]
create table counter (
    id integer primary key,
    hits bigint not null,
    last_visitor text not null,
    at timestamptz not null
) with (fillfactor = 50);

-- [rows]
select setseed(0.5);
insert into counter select g, 0, md5(random()::text), '2026-01-01 00:00:00+00' from generate_series(1, 1000) g;

-- [pgbench]
\set id random(1, 1000)
update counter set hits = hits + 1, last_visitor = md5(random()::text), at = clock_timestamp() where id = :id;
