-- Orders a day. The mapping keeps orders in mode soft_delete, so a deleted order is there and marked.
select placed_at::date as day, count(*) as orders, sum(total) as total
from {{ source('public', 'orders') }}
where not _pgcdc_deleted
group by 1
