-- Imitates a move: one large table of narrow rows with a bigint key is copied to an empty database.
-- Nothing is drained here: every peer copies the whole table into a database that has no table yet.
-- measure: copy
-- megabytes: 500
-- quick: 20

-- [schema]
create table orders (
    id bigint primary key,
    customer_id integer not null,
    status smallint not null,
    amount_cents bigint not null,
    placed_at timestamptz not null,
    shipped_at timestamptz,
    reference uuid not null,
    note text
);
create table lag (
    number bigint primary key,
    mark text not null
);

-- [rows]
select setseed(0.5);
insert into orders
    select n, random() * 1000000, random() * 5, random() * 1000000,
        timestamptz '2020-01-01 00:00+00' + random() * interval '5 years',
        case when n % 3 > 0 then timestamptz '2025-01-01 00:00+00' + random() * interval '90 days' end,
        md5(n::text)::uuid, case when n % 4 > 0 then md5(random()::text) || ' ' || md5(random()::text) end
    from generate_series(1, :megabytes * 7000) n;

-- [transaction]
insert into public.lag values ($1, $2)
