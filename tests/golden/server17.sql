-- What PostgreSQL 17 sends.
-- server 17
-- stream text proto_version=1
-- stream binary proto_version=2 binary=true
create type mood as enum ('sad', 'happy');
create table t(id bigint primary key, note text, n numeric, ts timestamptz, m mood, a int[], twice bigint generated always as (id * 2) stored);
create table f(a int, b text);
alter table f replica identity full;
create table unpublished(a int);
create publication p for table t, f;
-- record
insert into t values (1, 'x', 1.50, '2024-02-29 12:00:00+00', 'happy', '{1,2}');
insert into t values (2, repeat('x', 3000));
update t set note = 'y' where id = 1;
update t set id = 3 where id = 1;
delete from t where id = 3;
insert into unpublished values (1);
copy f from stdin;
1	a
1	a
\N	\N
\.
update f set b = 'c' where ctid = '(0,2)';
delete from f where a is null;
begin;
alter table t add column late int default 7;
insert into t(id) values (4);
savepoint a;
insert into t(id) values (5);
rollback to a;
commit;
truncate t, f restart identity cascade;
