-- Imitates a quiet system: now and then one row is committed, and a user waits to see it at the target.
-- Nothing is drained here; every commit is timed for itself, with synchronous_commit = on at both servers.
-- measure: latency
-- rows: 500
-- quick: 100

-- [schema]
create table ping (
    id bigint primary key,
    label text not null,
    at timestamptz not null
);
