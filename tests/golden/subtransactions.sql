-- What was rolled back to a savepoint is not there, and the index has no gap.
-- stream text proto_version=1
create table t(id int primary key, note text);
create publication p for table t;
-- record
begin;
insert into t values (1, 'kept');
savepoint a;
insert into t values (2, 'rolled back');
savepoint b;
insert into t values (3, 'rolled back');
release b;
rollback to a;
insert into t values (4, 'kept');
savepoint c;
update t set note = 'kept too' where id = 4;
release c;
commit;
begin;
savepoint a;
insert into t values (5, 'rolled back');
rollback to a;
commit;
do $$
begin
    insert into t values (6, 'kept');
    begin
        insert into t values (6, 'a duplicate');
    exception when unique_violation then
        insert into t values (7, 'instead');
    end;
end $$;
insert into t values (7, 'not this') on conflict do nothing;
insert into t values (7, 'x') on conflict (id) do update set note = 'upserted';
