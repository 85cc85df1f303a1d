-- SPDX-License-Identifier: Apache-2.0
-- The demo's shop: shapes of real databases, and values that replication tools often get wrong.

create type order_state as enum ('new', 'paid', 'shipped', 'returned');

create table customers (
    id bigint generated always as identity primary key,
    email text not null unique,
    name text not null,
    tags text[] not null default '{}',
    settings jsonb not null default '{}',
    balance numeric(14, 4) not null default 0,
    since timestamptz not null default clock_timestamp()
);

-- A natural key, which is changed now and then.
create table products (
    sku text primary key,
    title text not null,
    price numeric(10, 2) not null,
    price_with_tax numeric(10, 2) generated always as (round(price * 1.19, 2)) stored,
    stock int not null,
    attributes jsonb
);

-- A document of some 12 kB lies outside its row (TOAST); changing the title does not send it again.
create table documents (
    id int primary key,
    sku text references products on update cascade on delete set null,
    title text not null,
    body text not null
);

create table orders (
    id bigint generated always as identity primary key,
    customer_id bigint not null references customers,
    state order_state not null default 'new',
    placed_at timestamptz not null default clock_timestamp(),
    delivery daterange,
    note text
);

create table order_lines (
    order_id bigint references orders on delete cascade,
    line int,
    sku text not null references products on update cascade,
    quantity int not null,
    price numeric(10, 2) not null,
    primary key (order_id, line)
);

-- No key at all: a row that came twice would show.
create table journal (
    at timestamptz not null default clock_timestamp(),
    what text not null,
    amount numeric
);
alter table journal replica identity full;

create table counters (
    id int primary key,
    value bigint not null
);

create index on order_lines (sku);
create index on documents (sku);

-- Written once a second by the demo itself, to measure how long a commit takes to arrive.
create table pulse (
    id int primary key,
    at timestamptz not null
);
