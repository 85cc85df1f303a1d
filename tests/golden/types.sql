-- Types of the user's own, which are announced before the relation; in text and, where they have one, in binary.
-- stream text proto_version=1
-- stream binary proto_version=1 binary=true
create schema "Odd Schema";
create type mood as enum ('sad', 'so so', 'happy');
create type "Odd Schema"."a ""quoted"" type" as enum ('x');
create domain positive as int check (value > 0);
create domain tags as text[];
create type pair as (a int, b text);
create type span as range (subtype = numeric);
create table t(id mood primary key, moods mood[], odd "Odd Schema"."a ""quoted"" type", p positive, d tags, c pair,
               cs pair[], s span, m positive[]);
create publication p for table t;
-- record
insert into t values ('so so', '{sad,"so so",NULL}', 'x', 7, '{a,"b c"}', '(1,"x, y")', '{"(1,x)","(,)"}', '[1.5,2)',
                      '{1,2}');
insert into t values ('sad');
begin;
alter type mood add value 'angry';
commit;
update t set id = 'angry' where id = 'sad';
alter type mood rename to temper;
update t set p = 8 where p = 7;
delete from t;
