-- The far ends of the built-in types: exact text in, exact text out, and the binary form of the same.
-- stream text proto_version=1
-- stream binary proto_version=1 binary=true
create table n(id int primary key, n numeric, i8 bigint, i4 int, i2 smallint, f8 float8, f4 float4, m money, o oid);
create table d(id int primary key, d date, ts timestamp, tz timestamptz, t time, ttz timetz, i interval);
create table s(id int primary key, t text, v varchar(5), c char(5), n name, "q" "char", by bytea, b bool, bi bit(5),
               vb varbit);
create table x(id int primary key, j json, jb jsonb, xm xml, u uuid, i inet, c cidr, m macaddr, p point, bx box,
               poly polygon, tv tsvector, tq tsquery, r int4range, nr numrange, mr int4multirange, lsn pg_lsn);
create table a(id int primary key, i int[], t text[], n numeric[], ii int[][], j jsonb[], e text[], ts timestamptz[]);
create publication p for table n, d, s, x, a;
set extra_float_digits = 3;
-- record
insert into n values (1, 'NaN', 9223372036854775807, 2147483647, 32767, 'NaN', 'NaN', '92233720368547758.07', 4294967295);
insert into n values (2, 'Infinity', -9223372036854775808, -2147483648, -32768, 'Infinity', '-Infinity', '-$1.50', 0);
insert into n values (3, '-Infinity', 9007199254740993, 0, 0, 0.1::float8 + 0.2::float8, 0.1, 0);
insert into n values (4, repeat('9', 1000)::numeric, null, null, null, 1e308, 3.4e38);
insert into n values (5, ('0.' || repeat('0', 998) || '1')::numeric, null, null, null, 5e-324, 1e-45);
insert into n values (6, 6.9e-17, null, null, null, '-0', '-0');
insert into n values (7, 70.0), (8, 70.00), (9, 0.000), (10, -0.10), (11, 1e20), (12, 123456789012345678901234567890.5);
insert into d values (1, 'infinity', 'infinity', 'infinity', '24:00:00', '24:00:00+15:59', '178000000 years');
insert into d values (2, '-infinity', '-infinity', '-infinity', '00:00:00', '00:00:00-15:59', '-178000000 years');
insert into d values (3, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '1991-02-10 00:00:00+00 BC', '23:59:59.999999');
insert into d values (4, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00');
insert into d values (5, '0001-12-31', '10000-01-01', '2024-02-29 23:59:59.5+05:45', '12:34:56.000001', '12:00+05:45',
                      '1 year -2 mons +3 days -04:05:06.000007');
insert into s values (1, E'tab\t newline\n quote'' "double" \\backslash\\', 'äöü', 'x', 'a name', 'c', '\x00ff0a27225c', true,
                      '10101', '1');
insert into s values (2, '', '', '', '', '', '', false, '00000', '');
insert into s values (3, '😀 表 e' || chr(769), '😀', 'é', 'ü', E'\\', decode(repeat('00', 300), 'hex'));
insert into s values (4, E'\x01\x7f', null, 'ab   ');
insert into x values (1, '{"b": 1, "a" : 1, "b":2}', '{"b": 1, "a": 1, "b": 2}', '<?xml version="1.0"?><a>é</a>',
                      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '(1.5,-0)',
                      '(1,1),(0,0)', '((0,0),(1,1),(1,0))', '''a'':1A b:2', 'a & !b', '[1,5)', '(,5.5]', '{[1,3),[5,7)}',
                      '16/B374D848');
insert into x values (2, '"scalar"', '"scalar"', '', null, '1.2.3.4', '::/0', null, '(Infinity,NaN)', null, null, '', '',
                      'empty', 'empty', '{}', '0/0');
insert into x values (3, 'null', 'null'), (4, '1e400', '1e400'), (5, '"\u0041"', '"\u0041"');
insert into a values (1, '{1,NULL,3}', '{"",NULL,"NULL","a,b","{}","\"\\"}', '{NaN,1.0,1.00}', '{{1,2},{3,4}}',
                      array['{"a": 1}', 'null', null]::jsonb[], '{}', '{infinity,"2024-01-01 00:00:00+00"}');
insert into a values (2, '[0:1]={5,6}', '{}', null, '{{{1}}}');
