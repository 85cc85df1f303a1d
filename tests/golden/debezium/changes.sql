-- SPDX-License-Identifier: Apache-2.0
-- Every type and every operation, for Debezium and for us.
create extension hstore;
create extension citext;
create extension ltree;
create extension isn;
create type mood as enum ('sad', 'ok', 'very happy');
create type pair as (a int, b text);
create domain positive as int check (value > 0);
create domain price as numeric(10,2);
create domain note as text;

create table scalars (
    id int primary key,
    c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_oid oid, c_float4 float4, c_float8 float8,
    c_char "char", c_name name, c_bpchar char(5), c_varchar varchar(10), c_text text, c_citext citext,
    c_bytea bytea, c_json json, c_jsonb jsonb, c_xml xml, c_uuid uuid,
    c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8,
    c_int4range int4range, c_int8range int8range, c_numrange numrange, c_tsrange tsrange, c_tstzrange tstzrange, c_daterange daterange,
    c_mood mood, c_ltree ltree, c_hstore hstore, c_point point, c_tsvector tsvector, c_isbn isbn,
    c_bit bit, c_bit1 bit(1), c_bit3 bit(3), c_bit12 bit(12), c_varbit varbit, c_varbit1 varbit(1), c_varbit20 varbit(20),
    c_positive positive, c_note note
);

create table numbers (
    id int primary key,
    n numeric, n5 numeric(5), n52 numeric(5,2), n3010 numeric(30,10), m money, c_price price
);
create table special_numbers (id int primary key, n numeric);
create table special_scaled_numbers (id int primary key, n numeric(5,2));
create table odd_scales (id int primary key, n numeric(3,-2));

create table times (
    id int primary key,
    d date,
    t time, t0 time(0), t1 time(1), t3 time(3), t4 time(4), t6 time(6),
    tz timetz, tz0 timetz(0), tz3 timetz(3),
    ts timestamp, ts0 timestamp(0), ts1 timestamp(1), ts3 timestamp(3), ts4 timestamp(4), ts6 timestamp(6),
    tstz timestamptz, tstz0 timestamptz(0), tstz3 timestamptz(3), tstz6 timestamptz(6),
    i interval, i3 interval second(3)
);
create table intervals (id int primary key, i interval);

create table arrays (
    id int primary key,
    a_bool bool[], a_int2 int2[], a_int4 int4[], a_int8 int8[], a_oid oid[], a_float4 float4[], a_float8 float8[],
    a_text text[], a_varchar varchar(10)[], a_bpchar char(3)[], a_citext citext[], a_uuid uuid[], a_json json[], a_jsonb jsonb[],
    a_inet inet[], a_cidr cidr[], a_macaddr macaddr[], a_macaddr8 macaddr8[], a_int4range int4range[], a_numrange numrange[], a_tsrange tsrange[],
    a_tstzrange tstzrange[], a_daterange daterange[], a_int8range int8range[],
    a_date date[], a_time time[], a_time3 time(3)[], a_timetz timetz[], a_timestamp timestamp[], a_timestamp3 timestamp(3)[],
    a_timestamptz timestamptz[], a_numeric numeric[], a_numeric52 numeric(5,2)[], a_bytea bytea[], a_mood mood[], a_hstore hstore[],
    a_ltree ltree[], a_char "char"[]
);
create table odd_arrays (id int primary key, a_bit bit(3)[]);
create table nested_arrays (id int primary key, a int[], t text[]);
create table rare_arrays (id int primary key, a_money money[], a_name name[], a_interval interval[], a_varbit varbit(5)[], a_xml xml[], a_point point[]);
create table rare_types (
    id int primary key, c_box box, c_lseg lseg, c_path path, c_polygon polygon, c_circle circle, c_line line, c_pg_lsn pg_lsn,
    c_tsquery tsquery, c_pair pair, c_xid xid, c_txid txid_snapshot, c_int4multirange int4multirange, c_jsonpath jsonpath, c_regclass regclass,
    c_pairs pair[], c_positives positive[]
);

create table large (
    id int primary key, t text, v varchar, c citext, j json, jb jsonb, b bytea, h hstore, x xml, n numeric, at text[], ai int[], ab int8[], ad date[],
    an numeric[], aj jsonb[], au uuid[], ah hstore[], ay bytea[], ats timestamp[], af float8[], aq bool[], vb varbit, small int
);
create table plain (id int primary key, v text, required int not null default 7, counted bigint not null, named text not null, optional int default 5);
create table two_keys (a int, b text, v int, primary key (b, a));
create table full_identity (id int primary key, v text, big text);
alter table full_identity replica identity full;
create table by_index (id int primary key, other int not null, v text);
create unique index by_index_other on by_index (other);
alter table by_index replica identity using index by_index_other;
create table no_key (a int, b text);
create table no_key_full (a int, b text);
alter table no_key_full replica identity full;
create table "Odd ""name" ("a.b" int primary key, "ü" text);
create table zz_end (id int primary key);

alter table large alter t set storage external, alter v set storage external, alter c set storage external, alter b set storage external,
    alter at set storage external, alter j set storage external, alter jb set storage external, alter h set storage external,
    alter x set storage external, alter ai set storage external, alter ab set storage external, alter ad set storage external, alter an set storage external,
    alter aj set storage external, alter au set storage external, alter ah set storage external, alter ay set storage external,
    alter ats set storage external, alter af set storage external, alter aq set storage external, alter vb set storage external;
alter table full_identity alter big set storage external;

-- record
insert into scalars values (1, true, -32768, 2147483647, -9223372036854775808, 4294967295, 1.5, 0.1,
    'x', 'a name', 'ab', 'varchar', E'a "quoted" \\ text\nwith\ttabs', 'CiText',
    '\x00ff10', '{"a": [1, 2.50]}', '{"b": null, "a": "x"}', '<a>b</a>', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
    '[1,5)', '[1,5)', '[1.5,2.5]', '[2020-01-01 00:00,2020-01-02 12:00)', '[2020-01-01 00:00+00,2020-01-02 12:00+02)', '[2020-01-01,2020-01-05)',
    'very happy', 'Top.Science', '"a"=>"1", "b"=>NULL, "c \"d"=>"e\\f"', '(1.5,-2)', 'a fat cat', '978-0-393-04002-9',
    '1', '0', '101', '000000001111', '1011001', '1', '00000000000001011',
    5, 'a note');
insert into scalars values (2, false, 32767, -2147483648, 9223372036854775807, 0, '-Infinity', 'NaN',
    '', '', '', '', '', '', '', '[]', '{}', '', '00000000-0000-0000-0000-000000000000',
    '::1', '::/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00',
    'empty', '(,)', '[1,)', '(,2020-01-01)', '(,)', '[2020-01-01,)',
    'sad', '', '', '(1e300,1e-300)', '', null,
    '0', '1', '000', '111111111111', '', '0', '', 1, '');
insert into scalars (id) values (3);
insert into scalars (id, c_float4, c_float8, c_point) values (4, 1e20, 1e-7, '(0.1,100000000)'), (5, 123456.789, 123456789012345680, '(NaN,Infinity)'),
    (6, 1e-45, 5e-324, '(-0,1)'), (7, 3.4028235e38, 1.7976931348623157e308, null), (8, '-0', '-0', null), (9, 0.001, 0.001, null),
    (10, 9999999, 10000000, null), (11, 16777216, 9007199254740993, null), (12, 'NaN', 'Infinity', null);
insert into scalars (id, c_text, c_varbit, c_bit12) values (13, U&'gr\00FC\00DFe \+01F600 \0001 \007F \2028', '000000000000000000000001000000000', '100000000000');
insert into scalars (id, c_hstore, c_xml) values (14, 'x=>"", ""=>y', '<?xml version="1.0"?><a/>');

insert into numbers values (1, 0, 0, 0, 0, 0, 0), (2, 1, 12345, 123.45, 1234567890.0123456789, 12.34, 1.50),
    (3, -1.50, -12345, -123.45, -0.0000000001, -1234567.89, -0.01), (4, 100, 100, 100, 100, 92233720368547758.07, 100),
    (5, 127, 127, 1.27, 255, -92233720368547758.08, 1.28), (6, -128, -128, -1.28, -256, 0.01, 2.55),
    (7, 0.00000000000000000000000000000000000000000000000000012, 1, 1, 1, 1, 1),
    (8, 123456789012345678901234567890123456789012345678901234567890.123456789012345678901234567890, 1, 0.10, 12345678901234567890.0123456789, 1, 1),
    (9, -18446744073709551616, 1, 1, 1, 1, 1), (10, 1e100, 1, 1, 1, 1, 1), (11, 1.10, 1, 1, 1, 1, 1), (12, null, null, null, null, null, null),
    (13, 9007199254740993, 1, 1, 1, 1, 1), (14, ('1' || repeat('0', 400))::numeric, 1, 1, 1, 1, 1), (15, 0.1, 1, 1, 1, 1, 1), (16, 1234567.1, 1, 1, 1, 1, 1),
    (17, 0.000, 1, 1, 1, 1, 1);
insert into special_numbers values (1, 'NaN');
insert into special_numbers values (2, 'Infinity');
insert into special_numbers values (3, '-Infinity');
insert into special_scaled_numbers values (1, 'NaN');
insert into odd_scales values (1, 12345);

insert into times values (1, '2024-02-29', '12:34:56.123456', '12:34:56', '12:34:56.1', '12:34:56.123', '12:34:56.1234', '12:34:56.123456',
    '12:34:56.123456+02', '12:34:56-05:30', '12:34:56.123+00',
    '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56', '2024-02-29 12:34:56.1', '2024-02-29 12:34:56.123', '2024-02-29 12:34:56.1234', '2024-02-29 12:34:56.123456',
    '2024-02-29 12:34:56.123456+02', '2024-02-29 12:34:56+02', '2024-02-29 12:34:56.123+02', '2024-02-29 12:34:56.123456+02',
    '1 year 2 mons 3 days 04:05:06.78', '6.789');
insert into times values (2, '1970-01-01', '00:00:00', '00:00:00', '00:00:00', '00:00:00', '00:00:00', '00:00:00',
    '00:00:00+00', '00:00:00+14', '23:59:59.999-12',
    '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00',
    '1970-01-01 00:00:00+00', '1970-01-01 00:00:00+00', '1970-01-01 00:00:00+00', '1970-01-01 00:00:00+00', '0', '0');
insert into times values (3, '1969-12-31', '23:59:59.999999', '23:59:59', '23:59:59.9', '23:59:59.999', '23:59:59.9999', '23:59:59.999999',
    '23:59:59.999999+00', '00:00:00+00', '00:00:00.5+00',
    '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59', '1969-12-31 23:59:59.9', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.9999', '1969-12-31 23:59:59.999999',
    '1969-12-31 23:59:59.999999+00', '1969-12-31 23:59:59+00', '1969-12-31 23:59:59.9+00', '1969-12-31 23:59:59.5+00', '-1 days -00:00:00.000001', '1');
insert into times (id, d, ts, tstz) values (4, '0044-03-15 BC', '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC');
insert into times (id, d, ts, tstz) values (5, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC');
insert into times (id, d, ts, tstz) values (6, '12345-06-07', '12345-06-07 01:02:03', '12345-06-07 01:02:03+00');
insert into times (id, d) values (7, '5874897-12-31');
insert into times (id, ts, tstz) values (8, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00');
insert into times (id, d) values (9, 'infinity');
insert into times (id, d) values (10, '-infinity');
insert into times (id, ts) values (11, 'infinity');
insert into times (id, ts) values (12, '-infinity');
insert into times (id, ts3) values (13, 'infinity');
insert into times (id, ts3) values (14, '-infinity');
insert into times (id, tstz) values (15, 'infinity');
insert into times (id, tstz) values (16, '-infinity');
insert into times (id, t) values (17, '24:00:00');
insert into times (id, t3) values (18, '24:00:00');
insert into times (id, tz) values (19, '24:00:00+00');
insert into times (id, tz) values (20, '24:00:00+02');
insert into times (id, d, ts, tstz) values (21, '0001-01-01', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00');
insert into times (id, d, ts, tstz) values (22, '0001-12-31 BC', '0001-12-31 23:59:59 BC', '0001-12-31 23:59:59+00 BC');
insert into times (id, tz) values (23, '01:00:00+02');
insert into times (id, tz) values (24, '12:00:00.5+01:02:03');
insert into times (id, tstz) values (25, '2024-02-29 12:00:00+00');
insert into times (id, tstz) values (26, '2024-02-29 12:00:00.1+00');
insert into intervals values (1, '1 month'), (2, '1 year'), (3, '-1 mons'), (4, '100 years'), (5, '00:00:00.000001'), (6, '1 day 00:00:00.1'),
    (7, '-1 years -2 mons +3 days -04:05:06.7'), (8, '1000000:00:00'), (9, '10 seconds'), (10, '0.3 seconds'), (11, '1 mon -1 days'), (12, '2 years 11 mons 29 days 23:59:59.999999'),
    (13, '0.000123'), (14, '100 seconds'), (15, '-00:00:00.5'), (16, '-10:00');
insert into intervals values (17, '178000000 years');

insert into arrays values (1, '{t,f,NULL}', '{1,-2,NULL}', '{1,NULL,3}', '{1,NULL,9223372036854775807}', '{1,4294967295}', '{1.5,NULL,NaN}', '{0.1,1e20,NULL}',
    array['a', null, '', 'NULL', 'x,y', '{}', E'q"\\', ' b ', E'n\nl'], '{abc,NULL}', '{a,NULL}', '{CiText,NULL}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}',
    array['{"a": 1}', null]::json[], array['{"a": 1}', null]::jsonb[],
    '{192.168.0.1/24,NULL}', '{10.0.0.0/8}', '{08:00:2b:01:02:03}', '{08:00:2b:01:02:03:04:05}', '{"[1,5)",NULL}', '{"[1.5,2.5]"}', array['[2020-01-01 00:00,2020-01-02 12:00)']::tsrange[],
    array['[2020-01-01 00:00+00,2020-01-02 12:00+02)']::tstzrange[], '{"[2020-01-01,2020-01-05)"}', '{"[1,5)"}',
    '{2024-02-29,NULL,1969-12-31}', '{12:34:56.123456,NULL}', '{12:34:56.123}', '{12:34:56.123456+02,NULL}', '{2024-02-29 12:34:56.123456,NULL}', '{2024-02-29 12:34:56.123}',
    '{2024-02-29 12:34:56.123456+02,NULL}', '{1,NULL,-1.50}', '{1.5,NULL}', array['\x00ff'::bytea, null], '{sad,NULL,"very happy"}', array['a=>1'::hstore],
    '{Top.Science}', '{a,b}');
insert into arrays values (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
insert into arrays (id) values (3);
insert into arrays (id, a_int4, a_text) values (4, '[0:1]={1,2}', '[-3:-2]={a,b}');
insert into odd_arrays values (1, '{101,NULL}');
insert into nested_arrays values (1, '{{1,2},{3,NULL}}', '{{a,b},{c,NULL}}');
insert into rare_arrays values (1, '{1.50}', '{a}', '{1 day}', '{101}', array['<a/>']::xml[], array['(1,2)']::point[]);
insert into rare_types values (1, '(2,2),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '((0,0),(1,1),(2,0))', '<(1,2),3>', '{1,2,3}', '16/B374D848', 'fat & rat',
    '(1,"x, y")', '7', '10:20:10,14,15', '{[1,3),[5,7)}', '$.a[*]', 'pg_class', array['(1,x)']::pair[], '{1,2}');
insert into rare_types (id) values (2);

insert into large select 1, repeat('t', 2100), repeat('v', 2100), repeat('c', 2100), ('"' || repeat('j', 2100) || '"')::json, ('"' || repeat('j', 2100) || '"')::jsonb,
    decode(repeat('ab', 2100), 'hex'), hstore('k', repeat('h', 2100)), ('<x>' || repeat('x', 2100) || '</x>')::xml, ('1' || repeat('7', 5000) || '.5')::numeric,
    array[repeat('a', 2100)], array_agg(i), array_agg(i::int8), array_agg(date '2020-01-01' + i), array_agg(i::numeric), array[('"' || repeat('j', 2100) || '"')::jsonb],
    array_agg(md5(i::text)::uuid), array[hstore('k', repeat('h', 2100))], array[decode(repeat('ab', 2100), 'hex')], array_agg(timestamp '2020-01-01' + i * interval '1 second'),
    array_agg(i::float8), (select array_agg(j % 2 = 0) from generate_series(1, 2500) j), repeat('10', 20000)::varbit, 0 from generate_series(1, 700) i;
update large set small = 1;

insert into plain values (1, 'one', 10, 100, 'a', 1), (2, 'two', 20, 200, 'b', null), (3, null, 30, 300, 'c', 3);
update plain set v = 'uno' where id = 1;
update plain set id = 11 where id = 1;
delete from plain where id = 2;
begin;
insert into plain values (4, 'four', 1, 1, 'd', 4);
update plain set v = 'vier' where id = 4;
delete from plain where id = 4;
commit;
insert into two_keys values (1, 'x', 1), (2, 'y', 2);
update two_keys set v = 3 where a = 1;
update two_keys set b = 'z' where a = 1;
delete from two_keys where a = 2;
insert into full_identity values (1, 'one', repeat('b', 2100)), (2, 'two', null);
update full_identity set v = 'uno' where id = 1;
delete from full_identity where id = 2;
insert into by_index values (1, 10, 'one'), (2, 20, 'two');
update by_index set v = 'uno' where id = 1;
update by_index set other = 11 where id = 1;
delete from by_index where id = 2;
insert into no_key values (1, 'one');
insert into no_key_full values (1, 'one'), (2, 'two');
update no_key_full set b = 'uno' where a = 1;
delete from no_key_full where a = 2;
insert into "Odd ""name" values (1, 'ü');
delete from "Odd ""name";
truncate two_keys, no_key;
insert into zz_end values (1);
