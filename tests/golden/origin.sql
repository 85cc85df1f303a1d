-- Transactions that were themselves replicated say from where.
-- stream text proto_version=1
create table t(id int primary key);
create publication p for table t;
select pg_replication_origin_create('upstream');
-- record
select pg_replication_origin_session_setup('upstream');
begin;
select pg_replication_origin_xact_setup('0/ABCDEF', '2024-01-01 00:00:00+00');
insert into t values (1);
commit;
select pg_replication_origin_session_reset();
insert into t values (2);
select pg_replication_origin_drop('upstream');
