-- Imitates a log or an import without a primary key, identity full: 10,000 rows of eight columns, of which scattered ones are
-- updated, a hundred a transaction. No index finds them. The cost grows with rows times table.
-- rows: 5000
-- quick: 1000
-- batch: 100

-- [schema]
create table entry (
    a integer,
    b integer,
    c text,
    d text,
    e timestamptz,
    f numeric(12, 2),
    g boolean,
    h text
);
alter table entry replica identity full;

-- [rows]
select setseed(0.5);
insert into entry
select e, e % 7, md5(random()::text), 'open', '2026-01-01 00:00:00+00', random() * 1000, e % 2 = 0, null
from generate_series(1, 10000) e;

-- [traffic]
\set ON_ERROR_STOP on
select setseed(0.5);
select format('update entry set d = %L, b = b + 1, h = %L where a between %s and %s;', 'done', n, at, at + :batch - 1)
from (select n, 1 + (random() * (10000 - :batch))::integer as at from generate_series(1, :rows / :batch) n) step \gexec
