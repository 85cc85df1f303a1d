-- Imitates a move of a whole database: the fifty tables of copy_fifty_tables, with three more indexes each and a foreign key.
-- Nothing is drained here: every peer makes tables, rows, indexes and constraints in a database that has nothing yet.
-- measure: copy
-- megabytes: 500
-- quick: 20

-- [schema]
create table owner (id integer primary key, name text not null unique);
do $$
begin
    for i in 1..50 loop
        execute format('create table part_%s (id %s primary key, owner_id integer not null references owner, title text not null, changed_at timestamptz not null, body text)',
            to_char(i, 'FM00'), case i % 3 when 0 then 'integer' when 1 then 'bigint' else 'uuid' end);
        execute format('create index on part_%1$s (owner_id); create index on part_%1$s (changed_at); create index on part_%1$s (title)', to_char(i, 'FM00'));
    end loop;
end $$;

-- [rows]
select set_config('bench.megabytes', :'megabytes', false);
insert into owner select n, 'owner ' || n from generate_series(0, 999) n;
do $$
begin
    for i in 1..50 loop
        execute format('insert into part_%s select %s, n %% 1000, md5(n::text), timestamptz ''2024-01-01 00:00+00'' + n * interval ''1 second'',
            case when n %% 3 > 0 then md5(random()::text) || md5(random()::text) end from generate_series(1, %s) n',
            to_char(i, 'FM00'), case i % 3 when 2 then 'md5(n::text)::uuid' else 'n' end,
            5 + (current_setting('bench.megabytes')::bigint * 4500 * 0.15 * 0.85 ^ (i - 1))::bigint);
    end loop;
end $$;
