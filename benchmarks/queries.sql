-- Ten queries that BI tools and support people ask of a release; each begins with its name.

-- timeline of one customer
with busiest as (
    select user_id, customer_id
    from marts.customer_behavior_summary
    order by total_events desc, customer_id
    limit 1
)

select created_at, event_type, product_id, event_value, page_url
from marts.customer_behavior_events
inner join busiest using (user_id, customer_id)
order by created_at;

-- behaviour summary of one customer
select *
from marts.customer_behavior_summary
where user_id = 'northwind_shop' and customer_id = (select max(customer_id) from marts.customers where user_id = 'northwind_shop');

-- segments with their size and value
select segments.segment, count(*) as customers, sum(summary.total_spent) as total_spent, avg(summary.days_since_purchase)
from marts.customer_segments as segments
inner join marts.customer_behavior_summary as summary
    on segments.organization_id = summary.user_id and segments.customer_id = summary.customer_id
where segments.organization_id = 'northwind_shop'
group by segments.segment
order by customers desc;

-- grid of RFM scores
select recency_score, frequency_score, count(*) as customers, avg(net_spend) as net_spend
from marts.customer_rfm
where user_id = 'northwind_shop'
group by recency_score, frequency_score
order by all;

-- retention of monthly cohorts
select cohorts.cohort_name, cells.period_number, cells.return_on_rate
from marts.cohort_retention as cells
inner join marts.cohorts on cells.cohort_id = cohorts.id
where cohorts.user_id = 'northwind_shop' and cells.period_grain = 'month' and cells.acquisition_channel is null
order by all;

-- ninety days of analytics
select date, active_customers, conversion_rate, revenue, bounce_rate
from marts.behavioral_analytics
where
    user_id = 'northwind_shop' and segment_id is null
    and date > (select max(as_of_date) - 90 from marts.data_as_of)
order by date;

-- the hundred most valuable customers at risk
select summary.customer_id, summary.total_spent, summary.last_purchase_date, customers.acquisition_channel
from marts.customer_segments as segments
inner join marts.customer_behavior_summary as summary
    on segments.organization_id = summary.user_id and segments.customer_id = summary.customer_id
inner join marts.customers on summary.user_id = customers.user_id and summary.customer_id = customers.customer_id
where segments.organization_id = 'northwind_shop' and segments.segment = 'At Risk'
order by summary.total_spent desc, summary.customer_id
limit 100;

-- orders and revenue by month
select date_trunc('month', order_date) as month, count(*) as orders, sum(net_amount) as net_amount
from marts.orders
where user_id = 'northwind_shop'
group by month
order by month;

-- sessions by channel in the last month
select channel, count(*) as sessions, avg(is_engaged::integer) as engaged_rate
from marts.sessions
where user_id = 'northwind_shop' and session_date > (select max(as_of_date) - 30 from marts.data_as_of)
group by channel
order by sessions desc;

-- customers by channel and city
select acquisition_channel, city, count(*) as customers, sum(event_count) as events
from marts.customers
where user_id = 'northwind_shop'
group by acquisition_channel, city
order by customers desc
limit 50;
