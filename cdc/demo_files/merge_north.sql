-- SPDX-License-Identifier: Apache-2.0
\set n random(1, 9000)
update customer set name = person_name(:n + 1), phone = '+49 171 ' || 1000000 + :n where id = :n;
delete from customer where id = :n and :n % 50 = 0;
