-- A database with every class of objects that `pgcdc schema` moves; runs on 14 to 18, as a superuser. Among them is
-- what other tools are reported to break on: a check that is NOT VALID, a name list of more than a thousand characters,
-- exclusion constraints, the order and the search_path of materialized views, the comment of an extension, a sequence
-- in another schema than its table, a body that looks like a header of pg_dump.
create schema "Odd Names";
create schema stock authorization shop_owner;

create type mood as enum ('calm', 'hurried');
create type stock.dimensions as (width numeric, height numeric);
create type price_range as range (subtype = numeric);
create domain email as text check (value like '%@%') not null;
create collation german (provider = libc, locale = 'C.UTF-8');
create extension if not exists pg_trgm;

create function stock.quoted(body text) returns text language plpgsql immutable as $body$
begin
    -- Name: not a header; Type: TABLE; Schema: public; Owner: -
    return $$it's "$$ || body;
end $body$;
create function add_tax(amount numeric) returns numeric language sql immutable begin atomic select amount * 1.2; end;
create procedure stock.restock(item int) language sql as 'select item';
create aggregate product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = 1);
create operator |+| (function = numeric_add, leftarg = numeric, rightarg = numeric);
create function mood_number(mood) returns int language sql immutable as $$ select case $1 when 'calm' then 0 else 1 end $$;
create cast (mood as int) with function mood_number(mood);

create table customer (
    id bigint generated always as identity primary key,
    mail email,
    mood mood default 'calm',
    name text collate german,
    "Mixed ""Case" text,
    lower_name text generated always as (lower(name)) stored,
    constraint "name, or not" check (name <> '')
);
create table "Odd Names"."t 1" ("a.b" int primary key, "select" text, "line
break" int);
create sequence stock.numbers start 100 increment 5 cache 10;
create table stock.item (
    id serial primary key, number int default nextval('stock.numbers'), size stock.dimensions, price price_range,
    sku text not null, parent int, added timestamptz default now(),
    constraint item_sku unique (sku) deferrable initially deferred
);
alter sequence stock.numbers owned by stock.item.number;
create table stock.booking (item int not null, during tsrange, exclude using gist (during with &&));
create table sale (
    id bigint not null, customer bigint not null, day date not null, amount numeric(12,2) not null, primary key (id, day)
) partition by range (day);
create table sale_2025 partition of sale for values from ('2025-01-01') to ('2026-01-01');
create table sale_2026 partition of sale for values from ('2026-01-01') to ('2027-01-01') partition by hash (id);
create table sale_2026_even partition of sale_2026 for values with (modulus 2, remainder 0);
create table sale_2026_odd partition of sale_2026 for values with (modulus 2, remainder 1);
create table parent (id int primary key, note text);
create table child (more int) inherits (parent);
create table log (at timestamptz, line text);
alter table log replica identity full;
create table tagged (tag text not null, unique_tag text not null);
create unique index tagged_unique on tagged (unique_tag);
alter table tagged replica identity using index tagged_unique;
create unlogged table scratch (id int);

create index sale_customer on sale (customer);
create index item_quoted on stock.item (stock.quoted(sku)) where sku <> '';
create index customer_mail on customer using hash (mail);
create index "Odd ""Index" on "Odd Names"."t 1" ("select" desc nulls last) include ("line
break");
cluster customer using customer_pkey;
alter table stock.item add constraint item_parent foreign key (parent) references stock.item on delete cascade;
alter table sale add constraint sale_customer_fk foreign key (customer) references customer (id);
alter table stock.booking add constraint booking_item foreign key (item) references stock.item not valid;
alter table parent add constraint parent_note check (note <> 'bad') not valid;
create statistics item_statistics (dependencies) on sku, number from stock.item;

create view customer_names as select id, upper(name) as name, mood from customer where id in (1, 2, 3);
create view sale_days as select c.id, c.name, count(*) as sales from customer c join sale s on s.customer = c.id group by c.id;
create materialized view per_day as select day, sum(amount) as amount from sale group by day;
create materialized view best_day as select max(amount) as amount from per_day;
create unique index per_day_day on per_day (day);
create materialized view empty_view as select 1 as one with no data;

create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger sale_touch before insert on sale for each row execute function touch();
create trigger item_touch before update of sku on stock.item for each row when (new.sku <> '') execute function touch();
alter table stock.item disable trigger item_touch;
create rule log_no_delete as on delete to log do instead nothing;
alter table customer enable row level security;
create policy own_rows on customer for select to "shop reader", shop_owner using (name <> 'to "nobody"');
create function note_ddl() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger noted on ddl_command_end execute function note_ddl();

comment on table customer is 'who''s "who"';
comment on column customer.name is E'two\nlines';
comment on index sale_customer is 'by customer';
alter table customer owner to shop_owner;
alter function stock.quoted(text) owner to shop_owner;
grant usage on schema stock to "shop reader";
grant select on customer, sale to "shop reader";
grant select on sale to shop_owner;
grant select (at) on log to public;
grant update (sku) on stock.item to "shop reader" with grant option;
revoke execute on function add_tax(numeric) from public;
alter default privileges for role shop_owner in schema stock grant select on tables to "shop reader";

-- what is rare
create function long_signature(
    argument_number_000 text default 'value 0', argument_number_001 text default 'value 1', argument_number_002 text
    default 'value 2', argument_number_003 text default 'value 3', argument_number_004 text default 'value 4',
    argument_number_005 text default 'value 5', argument_number_006 text default 'value 6', argument_number_007 text
    default 'value 7', argument_number_008 text default 'value 8', argument_number_009 text default 'value 9',
    argument_number_010 text default 'value 10', argument_number_011 text default 'value 11', argument_number_012 text
    default 'value 12', argument_number_013 text default 'value 13', argument_number_014 text default 'value 14',
    argument_number_015 text default 'value 15', argument_number_016 text default 'value 16', argument_number_017 text
    default 'value 17', argument_number_018 text default 'value 18', argument_number_019 text default 'value 19',
    argument_number_020 text default 'value 20', argument_number_021 text default 'value 21', argument_number_022 text
    default 'value 22', argument_number_023 text default 'value 23', argument_number_024 text default 'value 24',
    argument_number_025 text default 'value 25', argument_number_026 text default 'value 26', argument_number_027 text
    default 'value 27', argument_number_028 text default 'value 28', argument_number_029 text default 'value 29',
    argument_number_030 text default 'value 30', argument_number_031 text default 'value 31', argument_number_032 text
    default 'value 32', argument_number_033 text default 'value 33', argument_number_034 text default 'value 34',
    argument_number_035 text default 'value 35', argument_number_036 text default 'value 36', argument_number_037 text
    default 'value 37', argument_number_038 text default 'value 38', argument_number_039 text default 'value 39',
    argument_number_040 text default 'value 40', argument_number_041 text default 'value 41', argument_number_042 text
    default 'value 42', argument_number_043 text default 'value 43', argument_number_044 text default 'value 44'
) returns text language sql as 'select $1';
create sequence "Odd Names"."far numbers";
alter table stock.item add far int default nextval('"Odd Names"."far numbers"');
create text search configuration plain_words (copy = simple);
create text search dictionary short_words (template = simple, stopwords = english);
alter text search configuration plain_words alter mapping for asciiword with short_words;
create foreign data wrapper nothing;
create server elsewhere foreign data wrapper nothing options (host 'a');
create user mapping for "shop reader" server elsewhere options (password 'se''cret');
create foreign table far (id int options (x 'y') not null) server elsewhere options (t 'far');
create operator family by_mood using btree;
create function compare_dimensions(stock.dimensions, stock.dimensions) returns int language sql immutable as 'select 0';
create operator class dimension_hash for type stock.dimensions using btree family by_mood as function 1 compare_dimensions(stock.dimensions, stock.dimensions);
create function many(a int, variadic b text[] default '{}') returns setof stock.item language sql as 'select * from stock.item';
create function many(a text, out b int, inout c text default 'x''y') language sql as 'select 1, $2';
create function in_table(customer) returns text language sql stable as 'select $1.name';
create domain short as text constraint short_enough check (length(value) < 10);
alter domain short add constraint short_not_empty check (value <> '') not valid;
create type pair as (a short, b mood[]);
create table wide (
    id int generated by default as identity (start 7 increment by 2 maxvalue 9000 cycle), pairs pair[], body text,
    during tstzrange default tstzrange(now(), null), number numeric(10, 2) default 1.5, kind "char", bits bit varying(7),
    constraint wide_pkey primary key (id) include (number), constraint wide_body unique (body) deferrable, constraint wide_number check (number > 0) no inherit
) with (fillfactor = 70, autovacuum_enabled = off);
alter table wide alter body set storage external, alter body set statistics 500, alter number set (n_distinct = 5);
create constraint trigger wide_later after insert on wide deferrable initially deferred for each row execute function touch();
create trigger wide_always after update on wide referencing old table as before new table as after for each statement execute function touch();
alter table wide enable always trigger wide_always;
create view circle_a as select 1 as one;
create view circle_b as select * from circle_a;
create or replace view circle_a as select one from circle_b where false union select 2;
create view checked with (security_barrier) as select id, body from wide where id > 3 with local check option;
create function put() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger checked_put instead of insert on checked for each row execute function put();
alter view checked alter column body set default 'none';
create recursive view numbers(n) as values (1) union all select n + 1 from numbers where n < 5;
create table grand (level text) inherits (child, parent);
alter table grand alter note set default 'inherited';
create table list (k text, v int) partition by list (k);
create table list_default partition of list default;
create table list_a (v int, k text not null, constraint list_a_v check (v > 0));
alter table list attach partition list_a for values in ('a', null);
create index list_k on list (k);
create unique index list_k_v on list (k, v);
alter table list add constraint list_customer foreign key (v) references wide (id);
create table typed of stock.dimensions (primary key (width));
create table ordered (a text collate "C", b int);
create index ordered_a on ordered (a collate "POSIX" text_pattern_ops desc, (b + 1)) with (fillfactor = 50);
alter index ordered_a alter column 2 set statistics 200;
create table pointed (p point, exclude using gist (p with ~=) where (p is not null));
comment on constraint wide_number on wide is 'positive';
comment on trigger wide_later on wide is 'later';
comment on policy own_rows on customer is 'own';
comment on rule log_no_delete on log is 'no';
comment on function many(text, text) is 'two';
comment on event trigger noted is 'noted';
comment on materialized view per_day is 'days';
comment on statistics item_statistics is 'both';
comment on cast (mood as int) is 'number';
comment on operator |+| (numeric, numeric) is 'plus';
comment on domain short is 'short';
comment on server elsewhere is 'far';
alter materialized view per_day owner to shop_owner;
alter view checked owner to shop_owner;
alter aggregate product(numeric) owner to shop_owner;
alter operator |+| (numeric, numeric) owner to shop_owner;
alter type pair owner to shop_owner;
alter schema "Odd Names" owner to shop_owner;
alter server elsewhere owner to shop_owner;
alter procedure stock.restock(int) owner to shop_owner;
alter statistics item_statistics owner to shop_owner;
grant usage on type pair to "shop reader";
grant usage on foreign server elsewhere to "shop reader";
grant select on per_day, checked to "shop reader" with grant option;
grant all on sequence stock.numbers to "shop reader";
grant create on schema "Odd Names" to public;

insert into customer (mail, name) values ('a@b', 'Ann'), ('c@d', 'Bob');
insert into sale select i, 1 + i % 2, '2025-06-01'::date + i, i from generate_series(1, 400) i;
refresh materialized view per_day;
refresh materialized view best_day;
