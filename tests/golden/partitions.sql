-- The same rows named by their partition and by the root.
-- stream leaf publication_names=leaf
-- stream root publication_names=root
create table t(id int, region text, note text, primary key (region, id)) partition by list (region);
create table t_east partition of t for values in ('east');
create table t_west(note text, region text not null, dropped int, id int not null, primary key (region, id));
alter table t_west drop column dropped;
alter table t attach partition t_west for values in ('west');
create publication leaf for table t;
create publication root for table t with (publish_via_partition_root = true);
-- record
insert into t values (1, 'east', 'e'), (2, 'west', 'w');
update t set note = 'x' where id = 2;
update t set region = 'west' where id = 1;
delete from t where id = 2;
truncate t_east;
truncate t;
alter table t detach partition t_east;
insert into t_east values (3, 'east', 'detached');
alter table t attach partition t_east for values in ('east');
insert into t values (4, 'east', 'attached');
