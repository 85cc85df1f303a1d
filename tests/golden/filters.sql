-- A publication's column list and row filter, generated and identity columns. A row that the filter sees come or go
-- becomes an insert or a delete.
-- stream text proto_version=1
create table t(id int primary key, shown text, hidden text, active bool, twice int generated always as (id * 2) stored);
alter table t replica identity full;
create table u(id int generated always as identity primary key, shown text, hidden text);
create publication p for table t where (active), u (id, shown);
-- record
insert into t values (1, 'x', 'y', true), (2, 'x', 'y', false);
update t set shown = 'z' where id = 1;
update t set active = false where id = 1;
update t set active = true where id = 2;
insert into u(shown, hidden) values ('x', 'secret');
update u set hidden = 'other';
update u set shown = 'y';
