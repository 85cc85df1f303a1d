-- Replica identity default, index, full and nothing; without a key; changed in mid-stream.
-- stream text proto_version=1
create table of_key(a int, b text, c int, primary key (c, a));
create table of_index(a int not null, b text, c int not null);
create unique index of_index_c on of_index(c);
alter table of_index replica identity using index of_index_c;
create table of_row(a int, b text);
alter table of_row replica identity full;
create table of_nothing(a int primary key, b text);
alter table of_nothing replica identity nothing;
create table without_key(a int, b text);
create table without_columns();
create publication p for table of_key, of_index, of_row;
create publication inserts for table of_nothing, without_key, without_columns with (publish = 'insert');
-- stream inserts publication_names=p,inserts
-- record
insert into of_key values (1, 'x', 2);
update of_key set b = 'y';
update of_key set a = 3;
delete from of_key;
insert into of_index values (1, 'x', 2);
update of_index set a = 3;
update of_index set c = 4;
delete from of_index;
insert into of_row values (1, 'twin'), (1, 'twin'), (null, null);
update of_row set b = 'other' where ctid = '(0,1)';
delete from of_row where a is null;
insert into of_nothing values (1, 'x');
update of_nothing set b = 'y';
delete from of_nothing;
insert into without_key values (1, 'x');
update without_key set b = 'y';
insert into without_columns default values;
begin;
insert into of_key values (7, 'x', 7);
alter table of_key replica identity full;
update of_key set b = 'y';
alter table of_key replica identity nothing;
insert into of_key values (8, 'x', 8);
commit;
