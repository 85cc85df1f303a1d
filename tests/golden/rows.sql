-- Inserts, updates, deletes; rows of one COPY, which share an LSN; commits in another order than begins; empty
-- transactions; and the same under every version of the protocol.
-- stream proto1 proto_version=1
-- stream proto2 proto_version=2
-- stream proto3 proto_version=3
-- stream binary proto_version=2 binary=true
create table t(id int primary key, note text, amount numeric(10,2));
create table unpublished(id int);
create publication p for table t;
-- record
insert into t values (1, 'first', 1.50);
insert into t values (2, '', null), (3, null, 0);
update t set note = 'changed' where id = 1;
update t set id = 20 where id = 2;
delete from t where id = 3;
insert into unpublished values (1);
begin;
commit;
begin;
insert into t values (4, 'rolled back', 4);
rollback;
copy t from stdin;
100	copied	1
101	copied	2
102	copied	3
\.
begin;
insert into t values (5, 'begins first, commits last', 5);
prepare transaction 'a';
begin;
insert into t values (6, 'begins last, commits first', 6);
update t set amount = 7 where id = 6;
commit;
commit prepared 'a';
