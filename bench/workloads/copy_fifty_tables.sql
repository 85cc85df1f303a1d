-- Imitates a move of a whole schema: fifty tables, of which the largest has a seventh of the rows and the smallest a few, with keys of three types.
-- Nothing is drained here: every peer copies all tables into a database that has none yet.
-- measure: copy
-- megabytes: 500
-- quick: 20

-- [schema]
do $$
begin
    for i in 1..50 loop
        execute format('create table part_%s (id %s primary key, owner_id integer not null, title text not null, changed_at timestamptz not null, body text)',
            to_char(i, 'FM00'), case i % 3 when 0 then 'integer' when 1 then 'bigint' else 'uuid' end);
    end loop;
end $$;

-- [rows]
select set_config('bench.megabytes', :'megabytes', false);
do $$
begin
    for i in 1..50 loop
        execute format('insert into part_%s select %s, n %% 1000, md5(n::text), timestamptz ''2024-01-01 00:00+00'' + n * interval ''1 second'',
            case when n %% 3 > 0 then md5(random()::text) || md5(random()::text) end from generate_series(1, %s) n',
            to_char(i, 'FM00'), case i % 3 when 2 then 'md5(n::text)::uuid' else 'n' end,
            5 + (current_setting('bench.megabytes')::bigint * 7000 * 0.15 * 0.85 ^ (i - 1))::bigint);
    end loop;
end $$;
