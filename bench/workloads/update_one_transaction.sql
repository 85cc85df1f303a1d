-- Imitates a nightly job that touches every row of a table: one UPDATE, one transaction.
-- rows: 1000000
-- quick: 100000

-- [schema]
create table narrow (
    id bigint primary key,
    amount integer not null,
    label text not null,
    at timestamptz not null
);

-- [rows]
select setseed(0.5);
insert into narrow
select g, (random() * 1000000)::integer, md5(random()::text), '2026-01-01 00:00:00+00'
from generate_series(1, :rows) g;

-- [traffic]
update narrow set amount = amount + 1, label = md5(random()::text), at = clock_timestamp();
