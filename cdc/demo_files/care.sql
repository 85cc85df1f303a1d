-- SPDX-License-Identifier: Apache-2.0
-- Updates of all kinds: an enum, numeric, jsonb and array columns, a row whose document stays where it is.
\set customer random(1, 10000)
\set placed random(1, 25000)
\set document random(1, 300)
update orders set state = 'shipped', delivery = daterange(current_date, current_date + 3) where id = :placed;
update customers set balance = balance + 0.0001, settings = settings || '{"seen": true}' where id = :customer;
update customers set tags = array_append(tags[1:3], 'visited') where id = :customer;
update documents set title = 'Manual, revised ' || clock_timestamp() where id = :document;
