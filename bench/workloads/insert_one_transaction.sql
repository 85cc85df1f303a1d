-- Imitates a bulk load: one INSERT of narrow rows, one transaction.
-- The whole transaction reaches the reader at once, after its commit.
-- rows: 1000000
-- quick: 100000

-- [schema]
create table narrow (
    id bigint primary key,
    amount integer not null,
    label text not null,
    at timestamptz not null
);

-- [traffic]
insert into narrow
select g, (random() * 1000000)::integer, md5(random()::text), clock_timestamp()
from generate_series(1, :rows) g;
