-- A table that changes its columns, between transactions and in the middle of one. What is decoded comes after all
-- of it, so every row must come with the columns it had.
-- stream text proto_version=1
create table t7(a int primary key, b int, c int);
create publication p for table t7;
-- record
insert into t7 values (1, 2, 3);
alter table t7 add column d text default 'x';
insert into t7 values (2, 2, 3, 'y');
alter table t7 drop column b;
insert into t7 values (3, 33, 'z');
alter table t7 add column b bigint default 7;
insert into t7 values (4, 44, 'w', 5);
alter table t7 rename column c to "C c";
update t7 set "C c" = 0 where a = 1;
alter table t7 alter column d drop default, alter column d type int using length(d);
insert into t7 values (5, 5, 5, 5);
begin;
alter table t7 add column e int;
insert into t7 values (6, 6, 6, 6, 6);
alter table t7 add column f int;
insert into t7 values (7, 7, 7, 7, 7, 7);
commit;
alter table t7 add column g int;
alter table t7 drop column g;
alter table t7 rename to t7b;
insert into t7b(a) values (8);
alter table t7b rename to t7;
alter table t7 add column r float8 default 0.5;
update t7 set e = 1 where a = 8;
create schema moved;
alter table t7 set schema moved;
delete from moved.t7 where a = 8;
drop table moved.t7;
create table t7(a int primary key);
alter publication p add table t7;
insert into t7 values (9);
