-- Imitates a retention job: old rows are deleted from a large table, a hundred a transaction, scattered over its pages.
-- rows: 500000
-- quick: 50000

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
from generate_series(1, :rows + :rows / 10) g;

-- [traffic]
select set_config('bench.rows', :'rows', false) \g /dev/null
do $$
declare
    row_count integer := current_setting('bench.rows');
begin
    for start in 0..row_count - 1 by 100 loop
        delete from narrow
        where id = any (array(select (step::bigint * 7919) % row_count + 1
                              from generate_series(start, least(start + 99, row_count - 1)) step));
        commit;
    end loop;
end $$;
