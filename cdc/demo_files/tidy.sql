-- SPDX-License-Identifier: Apache-2.0
-- Deletes, a key that changes and changes back, a rewritten document, and a purchase that is thought better of.
\set placed random(1, 25000)
\set product random(901, 1000)
\set document random(1, 300)
delete from order_lines where order_id = :placed and line = 2;
update products set sku = 'OLD-' || sku where sku = 'SKU-' || :product;
update products set sku = substr(sku, 5) where sku = 'OLD-SKU-' || :product;
update documents set body = reverse(body) where id = :document;
begin;
insert into journal (what) values ('never happened');
rollback;
