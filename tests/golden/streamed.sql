-- Transactions sent while they are still open, which nobody asked for: every message of the kind is refused by name.
-- server 18
-- set debug_logical_replication_streaming=immediate
-- stream on proto_version=2 streaming=on
-- stream parallel proto_version=4 streaming=parallel
create table t(id int primary key);
create publication p for table t;
-- record
begin;
insert into t values (1);
savepoint a;
insert into t values (2);
rollback to a;
insert into t values (3);
commit;
begin;
insert into t values (4);
rollback;
