-- SPDX-License-Identifier: Apache-2.0
\set n random(1, 8000)
update customer set name = person_name(:n + 1), phone = '+49 171 ' || 1000000 + :n where person_no = 70000 + :n;
delete from customer where person_no = 70000 + :n and :n % 50 = 0;
