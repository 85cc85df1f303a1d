-- SPDX-License-Identifier: Apache-2.0
\set n random(76000, 95000)
insert into client values (:n, 'New  Client', 'new.' || :n || '@example.COM', '0170-' || :n, 'DE' || 7000000000000000 + :n, now())
    on conflict (person) do update set mail = upper(client.mail), full_name = client.full_name || ' ';
