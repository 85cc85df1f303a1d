-- SPDX-License-Identifier: Apache-2.0
-- Hot counters, as pgbench has them.
\set counter random(1, 10)
begin;
update counters set value = value + 1 where id = :counter;
insert into journal (what, amount) values ('counted', :counter);
commit;
