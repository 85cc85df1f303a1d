-- Values too long for their row: not sent when an UPDATE leaves them alone, which is neither null nor known, unless
-- the old row is sent whole.
-- stream text proto_version=1
-- stream binary proto_version=1 binary=true
create table by_key(id int primary key, small int, big text, big2 text);
create table by_index(id int not null unique, big text not null, n int);
create table by_row(id int, big text, n int);
alter table by_key alter big set storage external;
alter table by_key alter big2 set storage external;
alter table by_index alter big set storage external;
alter table by_row alter big set storage external;
alter table by_index replica identity using index by_index_id_key;
alter table by_row replica identity full;
create publication p for table by_key, by_index, by_row;
insert into by_key values (1, 0, repeat('a', 5000), repeat('b', 5000));
insert into by_index values (1, repeat('c', 5000), 0);
insert into by_row values (1, repeat('d', 5000), 0);
-- record
update by_key set small = 1;
update by_key set id = 2;
update by_key set big = null;
update by_key set big = 'short';
update by_key set big = repeat('e', 5000), id = 3;
insert into by_key values (4, 0, repeat('f', 100000), null);
begin;
insert into by_key values (5, 0, repeat('g', 5000), null);
update by_key set small = 5 where id = 5;
commit;
delete from by_key where id = 3;
update by_index set n = 1;
update by_index set id = 2;
update by_index set big = repeat('h', 5000);
delete from by_index;
update by_row set n = 1;
update by_row set id = null;
update by_row set big = 'short';
delete from by_row;
