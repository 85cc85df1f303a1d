-- Imitates a system with a schedule: twenty times many small transactions and then a batch job, one transaction of many rows,
-- half inserts and half updates. Batches that fit one size meet the other.
-- rows: 400000
-- quick: 40000

-- [schema]
create table reading (
    id bigint primary key,
    sensor integer not null,
    value double precision not null,
    label text not null,
    at timestamptz not null
);

-- [traffic]
select set_config('bench.rows', :'rows', false) \g /dev/null
do $$
declare
    burst_rows integer := current_setting('bench.rows')::integer / 20;
    small integer := least(1000, burst_rows / 4);
    many integer := (burst_rows - small) / 2;
    base bigint;
begin
    for burst in 1..20 loop
        base := burst::bigint * 100000000;
        for n in 1..small loop
            insert into reading values (base + n, n % 100, random(), md5(random()::text), clock_timestamp());
            commit;
        end loop;
        insert into reading
        select base + small + n, n % 100, random(), md5(random()::text), clock_timestamp()
        from generate_series(1, many) n;
        update reading set value = random(), label = md5(random()::text)
        where id between base + small + 1 and base + small + many;
        commit;
    end loop;
end $$;
