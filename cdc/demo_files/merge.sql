-- SPDX-License-Identifier: Apache-2.0
-- The same people as three systems know them; what they write by hand is not clean. The banks share a number of the person,
-- all three an address. bank: north, south or web.
\set ON_ERROR_STOP on
create function person_name(n int) returns text language sql immutable as
    $$ select (array['Ann', 'Bob', 'Chloé', 'Dmitri', 'Eve', 'Faisal', 'Grete'])[1 + n % 7] || repeat(' ', 1 + n % 3)
           || (array['Müller', 'Smith', 'Rossi', 'Novák', 'Øst'])[1 + n % 5] || case n % 4 when 0 then '  ' else '' end $$;
create function person_mail(n int) returns text language sql immutable as
    $$ select case n % 3 when 0 then ' Person.' when 1 then 'person.' else 'PERSON.' end || n || '@Example.com' $$;
select :'bank' = 'north' as is_north, :'bank' = 'south' as is_south \gset
\if :is_north
create table customer (person_no int primary key, name text, email text, phone text, iban text, since date);
insert into customer select 70000 + n, person_name(n), person_mail(n), '+49 170 ' || 1000000 + n, 'DE' || 1000000000000000 + n, date '2010-01-01' + n % 4000
    from generate_series(1, 9000) n;
\elif :is_south
create table client (person bigint primary key, full_name text, mail text, tel text, account text, opened timestamptz);
insert into client select 70000 + n, upper(person_name(n)), person_mail(n), '0170-' || 1000000 + n, 'DE' || 5000000000000000 + n, timestamptz '2015-01-01' + n * interval '1 hour'
    from generate_series(6000, 15000) n;
\else
create table users (uid uuid primary key, display_name text, email text, phone text, password_hash text not null, created timestamptz);
insert into users select md5(n::text)::uuid, nullif(person_name(n), ''), person_mail(n), '+49170' || 1000000 + n, md5('secret ' || n), timestamptz '2020-01-01' + n * interval '1 minute'
    from generate_series(3000, 20000) n;
\endif
