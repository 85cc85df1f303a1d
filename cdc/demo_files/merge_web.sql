-- SPDX-License-Identifier: Apache-2.0
\set n random(3000, 20000)
update users set email = ' ' || upper(email), password_hash = md5(random()::text) where uid = md5(:n::text)::uuid;
