-- Imitates a steady stream of small commits, each due at its time whether or not the ones before have arrived.
-- Nothing is drained here: every transaction is timed from when it was due to when it is visible at the target.
-- measure: lag

-- [schema]
create table lag (
    number bigint primary key,
    mark text not null
);

-- [transaction]
insert into public.lag values ($1, $2)
