-- SPDX-License-Identifier: Apache-2.0
-- A purchase: several tables in one transaction.
\set customer random(1, 10000)
\set first random(1, 450)
\set second random(451, 900)
begin;
insert into orders (customer_id) values (:customer) returning id as placed \gset
insert into order_lines values (:placed, 1, 'SKU-' || :first, 1, 9.99), (:placed, 2, 'SKU-' || :second, 2, 19.90);
update products set stock = stock - 1 where sku = 'SKU-' || :first;
update products set stock = stock - 2 where sku = 'SKU-' || :second;
insert into journal (what, amount) values ('bought', 49.79);
commit;
