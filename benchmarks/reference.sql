-- The plainest careful way to the same outputs in hand-written DuckDB: load, dedup, local dates, sessions, compact facts, summary,
-- RFM, cohort retention, behavioural analytics, sorted Parquet out. No tests, no incremental path, no personal-data rules, no release.
-- $raw and $out are replaced by benchmarks/run.py. The yardstick of `make bench`, not part of the product.

create table tenants as
select user_id, timezone from read_csv('$raw/organizations/**/*.csv');

-- load: typed, the bad rows left out
create table events as
select
    md5(length(user_id) || ':' || user_id || length(id) || ':' || id)::uuid as event_id,
    id, user_id, customer_id, lower(event_type) as event_type, event_category, product_id, product_name, product_category,
    event_value::decimal(18, 4) as event_value, event_properties::varchar as event_properties, page_url, referrer_url,
    ip_address, user_agent, device_type, browser, os, location::varchar as location, session_id, created_at,
    timezone(tenants.timezone, timezone('UTC', created_at)) as local_created_at,
    local_created_at::date as event_date,
    (local_created_at - interval 4 hours)::date as session_date
from read_parquet('$raw/events/**/*.parquet', union_by_name = true)
join tenants using (user_id)
where
    customer_id is not null and event_type is not null and created_at >= '1970-01-01'
    and (event_value is null or event_value between 0 and 1e9);

-- dedup: only ids that occur twice are looked at
create table twice as select event_id from events group by event_id having count(*) > 1;

delete from events
where rowid in (
    select rowid from events where event_id in (select event_id from twice)
    qualify row_number() over (partition by event_id order by rowid) > 1
);

create table sessions as
with cut as (
    select
        *,
        coalesce(created_at > lag(created_at) over w + interval 30 minutes, true)::integer as is_start
    from events
    where event_type not in (
        'refund', 'return', 'ad_impression', 'email_sent', 'email_open', 'sms_sent', 'sms_open', 'push_sent', 'ticket_resolved',
        'points_earned', 'referral_converted', 'bill'
    )
    window w as (partition by user_id, customer_id, session_date, session_id order by created_at, event_id)
),

numbered as (
    select *, sum(is_start) over (
        partition by user_id, customer_id, session_date, session_id order by created_at, event_id rows unbounded preceding
    ) as session_number
    from cut
)

select
    user_id, customer_id, session_date, session_id, session_number,
    count(*) as events,
    count(*) filter (event_type = 'page_view') as page_views,
    count(*) filter (event_type = 'product_view') as product_views,
    min(created_at) as started_at, max(created_at) as ended_at,
    max(device_type) filter (is_start = 1) as device_type,
    max(event_category) filter (is_start = 1) as event_category,
    max(page_url) filter (is_start = 1) as landing_page,
    max(referrer_url) filter (is_start = 1) as referrer_url,
    arg_min(product_category, (created_at, event_id)) as product_category
from numbered
group by all;

create table order_lines as
select
    event_id, user_id, customer_id, coalesce(event_properties ->> '$.order_id', event_id::varchar) as order_id,
    coalesce(line ->> '$.product_category', product_category) as product_category,
    coalesce((line ->> '$.value')::decimal(18, 4), event_value) as gross, event_date, created_at
from (
    select *, unnest(coalesce((event_properties -> '$.lines')::json[], [null::json])) as line
    from events where event_type = 'purchase'
);

create table refunds as
select event_id, user_id, customer_id, coalesce(event_properties ->> '$.order_id', event_id::varchar) as order_id, event_value,
    event_date, created_at
from events where event_type in ('refund', 'return');

create table orders as
with bought as (
    select user_id, customer_id, order_id, sum(gross) as gross, min(event_date) as order_date, min(created_at) as ordered_at
    from order_lines group by all
),

refunded as (
    select user_id, customer_id, order_id, sum(event_value) as refund, min(event_date) as refund_date
    from refunds group by all
)

select
    user_id, customer_id, order_id, coalesce(gross, 0) as gross, coalesce(refund, 0) as refund, gross is null as is_unmatched,
    coalesce(order_date, refund_date) as order_date, ordered_at
from bought full join refunded using (user_id, customer_id, order_id);

create table customer_daily as
select
    user_id, customer_id, event_date, count(*) as events,
$counts
    sum(event_value) filter (event_type = 'purchase') as gross,
    sum(event_value) filter (event_type in ('refund', 'return')) as refund,
    min(created_at) as first_at, max(created_at) as last_at, arg_min(event_type, (created_at, event_id)) as first_type
from events
group by all;

create table clock as select user_id, max(event_date) as as_of from customer_daily group by user_id;

create table spend as
select user_id, customer_id, count(*) filter (not is_unmatched) as orders, sum(gross) as gross, sum(gross - refund) as net,
    min(order_date) filter (not is_unmatched) as first_date, max(order_date) filter (not is_unmatched) as last_date
from orders group by all;

create table summary as
with modes as (
    select user_id, customer_id, device_type, count(*) as n, max(started_at) as latest
    from sessions where device_type is not null group by all
),

device as (
    select user_id, customer_id, arg_max(device_type, (n, latest, device_type)) as preferred_device from modes group by all
),

sources as (
    select user_id, customer_id, event_category, count(*) as n, max(started_at) as latest
    from sessions where event_category is not null group by all
),

source as (
    select user_id, customer_id, arg_max(event_category, (n, latest, event_category)) as preferred_source
    from sources group by all
),

categories as (
    select user_id, customer_id, product_category, count(*) as n, max(created_at) as latest
    from order_lines where product_category is not null group by all
),

category as (
    select user_id, customer_id, arg_max(product_category, (n, latest, product_category)) as preferred_category
    from categories group by all
),

totals as (
    select user_id, customer_id, sum(events) as events, sum(page_view) as page_views, sum(product_view) as product_views,
        sum(add_to_cart) as add_to_carts, min(first_at) as first_at, max(last_at) as last_at
    from customer_daily group by all
)

from totals
left join spend using (user_id, customer_id)
left join device using (user_id, customer_id)
left join source using (user_id, customer_id)
left join category using (user_id, customer_id);

create table rfm as
with ranked as (
    select
        user_id, customer_id, as_of - last_date as recency, orders, net,
        rank() over (partition by user_id order by as_of - last_date) - 1 as r_better,
        rank() over (partition by user_id order by orders) - 1 as f_worse,
        rank() over (partition by user_id order by greatest(net, 0)) - 1 as m_worse,
        count(*) over (partition by user_id) as n
    from spend join clock using (user_id) where orders > 0
)

select user_id, customer_id, recency, orders, net,
    greatest(1, 5 - 5 * r_better // n) as r, least(5, 1 + 5 * f_worse // n) as f, least(5, 1 + 5 * m_worse // n) as m
from ranked;

create table retention as
with cohort as (select user_id, customer_id, date_trunc('month', first_date) as cohort from spend where orders > 0),

sizes as (select user_id, cohort, count(*) as members from cohort group by all)

select user_id, cohort, datediff('month', cohort, date_trunc('month', order_date)) as period, members,
    count(distinct customer_id) as retained, count(*) as orders, sum(gross) as gross
from orders join cohort using (user_id, customer_id) join sizes using (user_id, cohort)
where not is_unmatched group by all;

create table analytics as
with spans as (
    select user_id, customer_id, event_date,
        event_date > lag(event_date) over w + 30 or lag(event_date) over w is null as is_first, lead(event_date) over w as next_date
    from customer_daily window w as (partition by user_id, customer_id order by event_date)
),

edges as (
    select user_id, event_date as d, 1 as change from spans where is_first
    union all
    select user_id, event_date + 30, -1 from spans where next_date is null or next_date > event_date + 30
),

active as (
    select user_id, d, sum(sum(change)) over (partition by user_id order by d) as active from edges group by user_id, d
),

daily as (
    select user_id, event_date as d, count(*) as customers, sum(events) as events, sum(gross) as gross, sum(refund) as refund
    from customer_daily group by all
)

from daily left join active using (user_id, d);

-- sorted Parquet out, month by month: appended by benchmarks/run.py for events, sessions, order_lines, customer_daily
