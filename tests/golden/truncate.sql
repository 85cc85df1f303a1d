-- One message for several tables, with what it does besides.
-- stream text proto_version=1
create table parent(id int primary key);
create table child(id serial primary key, parent int references parent);
create table other(id int primary key);
create table unpublished(id int);
create publication p for table parent, child, other;
-- record
truncate other;
truncate parent, child, other;
truncate parent cascade;
truncate child restart identity;
truncate parent, unpublished restart identity cascade;
truncate unpublished;
begin;
insert into other values (1);
truncate other;
insert into other values (2);
commit;
