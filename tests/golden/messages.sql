-- Logical messages, inside and outside transactions.
-- stream asked proto_version=1 messages=true
-- stream not_asked proto_version=1
create table t(id int primary key);
create publication p for table t;
-- record
select pg_logical_emit_message(false, 'outside', 'text');
select pg_logical_emit_message(false, '', '');
select pg_logical_emit_message(true, 'alone', '\x00ff'::bytea);
begin;
insert into t values (1);
select pg_logical_emit_message(true, 'inside', 'between two rows');
select pg_logical_emit_message(false, 'outside', 'sent before the transaction it was written in');
insert into t values (2);
commit;
begin;
select pg_logical_emit_message(true, 'rolled back', '');
select pg_logical_emit_message(false, 'rolled back', 'and yet sent');
rollback;
insert into t values (3);
