-- Names that need quoting, and that must come through as they are.
-- stream text proto_version=1
create schema "a.b";
create schema "größe 表";
create table "a.b"."select"("from" int primary key, "a""b" text, " " text, "é" text, "x'y\z" text, "A" int, a int);
create table "größe 表"."ein Name, der genau so lang ist, wie ein Name sein darf: dreiun"(id int primary key);
create table "tab	and
newline"("col
umn" int primary key);
create publication p for table "a.b"."select", "größe 表"."ein Name, der genau so lang ist, wie ein Name sein darf: dreiun",
    "tab	and
newline";
-- record
insert into "a.b"."select" values (1, '"', ' ', 'é', E'\\''', 2, 3);
insert into "größe 表"."ein Name, der genau so lang ist, wie ein Name sein darf: dreiun" values (1);
insert into "tab	and
newline" values (1);
