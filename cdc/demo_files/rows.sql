-- SPDX-License-Identifier: Apache-2.0
-- The rows that are there before pgcdc comes: some 100,000.

insert into customers (email, name, tags, settings, balance, since)
select 'customer' || n || '@example.org', 'Customer ' || n,
       case n % 3 when 0 then '{}' when 1 then array['new'] else array['gold', null, 'a "quoted" tag'] end,
       jsonb_build_object('language', (array['de', 'en', 'fr'])[1 + n % 3], 'newsletter', n % 2 = 0),
       n * 1.2345, timestamptz '2024-01-01 00:00+00' + n * interval '1 minute'
from generate_series(1, 10000) n;

insert into products (sku, title, price, stock, attributes)
select 'SKU-' || n, 'Product ' || n, 1 + n % 100 + 0.99, 1000000,
       case when n % 4 > 0 then jsonb_build_object('colour', (array['red', 'green', 'blue'])[n % 4], 'grams', n) end
from generate_series(1, 1000) n;

insert into documents (id, sku, title, body)
select n, 'SKU-' || n, 'Manual of product ' || n,
       (select string_agg(md5(n::text || part::text), '') from generate_series(1, 380) part)
from generate_series(1, 300) n;

insert into orders (customer_id, state, placed_at, delivery, note)
select 1 + n % 10000, (array['new', 'paid', 'shipped', 'returned'])[1 + n % 4]::order_state,
       timestamptz '2025-01-01 00:00+00' + n * interval '1 minute',
       case when n % 2 = 0 then daterange(date '2025-01-02' + n % 300, date '2025-01-05' + n % 300) end,
       case when n % 5 = 0 then E'leave it\nat the door' end
from generate_series(1, 25000) n;

insert into order_lines (order_id, line, sku, quantity, price)
select n, line, 'SKU-' || 1 + (n * 7 + line) % 1000, line, 9.99
from generate_series(1, 25000) n, generate_series(1, 2) line;

insert into journal (at, what, amount)
select timestamptz '2025-01-01 00:00+00' + n * interval '1 second', 'opening', n / 3.0
from generate_series(1, 15000) n;

insert into counters select n, 0 from generate_series(1, 10) n;

set client_min_messages = error;
analyze;
