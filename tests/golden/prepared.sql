-- Two-phase transactions, which nobody asked for but a slot may have been made with.
-- server 18
-- slot two_phase
-- set debug_logical_replication_streaming=immediate
-- stream whole proto_version=3 two_phase=on
-- stream unasked proto_version=1
-- stream streamed proto_version=3 two_phase=on streaming=on
create table t(id int primary key);
create publication p for table t;
-- record
begin;
insert into t values (1);
prepare transaction 'kept';
commit prepared 'kept';
begin;
insert into t values (2);
prepare transaction 'rolled back';
rollback prepared 'rolled back';
