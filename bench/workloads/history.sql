-- Imitates accounts whose balances change all day, a hundred scattered rows a transaction: what keeping all versions costs.
-- Each row is updated four times. The peer that keeps versions is measured beside the one that keeps rows.
-- rows: 400000
-- quick: 40000
-- batch: 100
-- clients: 2

-- [schema]
create table account (
    id bigint primary key,
    owner text not null,
    balance numeric(12, 2) not null,
    state text not null,
    seen_at timestamptz not null
);

-- [rows]
select setseed(0.5);
insert into account
select g, md5(random()::text), (random() * 10000)::numeric(12, 2), 'open', '2026-01-01 00:00:00+00'
from generate_series(1, 100000) g;

-- [pgbench]
\set first random(1, 100000)
\set step random(1, 900)
update account
set balance = balance + (random() * 100)::numeric(12, 2), seen_at = clock_timestamp()
where id = any (array(select 1 + (:first + g * :step) % 100000 from generate_series(1, :batch) g order by 1));
