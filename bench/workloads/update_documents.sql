-- Imitates a store of large documents: 3,000 of some 32 kB, kept out of line (TOAST), of which small columns change all the time
-- and the text itself once in fifty times. PostgreSQL does not send a large value that an update left alone.
-- rows: 50000
-- quick: 5000
-- clients: 4

-- [schema]
create table document (
    id integer primary key,
    revision integer not null,
    reader text not null,
    read_at timestamptz not null,
    body text not null
);

-- [rows]
select setseed(0.5);
insert into document
select d, 0, md5(random()::text), '2026-01-01 00:00:00+00',
       (select string_agg(md5(random()::text), ' ') from generate_series(1, 1000 + d % 7) line)
from generate_series(1, 3000) d;

-- [pgbench]
\set id random(1, 3000)
\set kind random(1, 50)
\if :kind = 1
update document
set revision = revision + 1, body = (select string_agg(md5(random()::text), ' ') from generate_series(1, 1000) line)
where id = :id;
\else
update document set reader = md5(random()::text), read_at = clock_timestamp() where id = :id;
\endif
