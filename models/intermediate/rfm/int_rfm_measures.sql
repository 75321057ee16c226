{{ config(materialized='table') }}

with tenants as (

    select
        tenants.user_id,
        tenants.rfm_window_days,
        tenants.engagement_window_days,
        clock.as_of_date
    from {{ ref('int_tenants') }} as tenants
    inner join {{ ref('int_tenant_clock') }} as clock on tenants.user_id = clock.user_id

),

orders as (

    select * from {{ ref('orders') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

orders_marked as (

    select
        orders.user_id,
        orders.customer_id,
        orders.order_date,
        orders.net_amount,
        not orders.is_unmatched_refund as is_purchase,
        coalesce(
            orders.order_date > {{ add_days('tenants.as_of_date', '- tenants.rfm_window_days') }}, true
        ) as is_in_window,
        tenants.as_of_date
    from orders
    inner join tenants on orders.user_id = tenants.user_id

),

buyers as (

    select
        user_id,
        customer_id,
        min(as_of_date) as as_of_date,
        min(order_date) filter (where is_purchase) as first_order_date,
        max(order_date) filter (where is_purchase) as last_order_date,
        count(*) filter (where is_purchase and is_in_window) as purchase_count,
        cast(coalesce(sum(net_amount) filter (where is_in_window), 0) as decimal(18, 4)) as net_spend
    from orders_marked
    group by user_id, customer_id
    having count(*) filter (where is_purchase) > 0

),

engagements as (

    select
        user_id,
        customer_id,
        session_date as engagement_date,
        1 as engagement_count
    from sessions
    where is_engaged

    union all

    select
        user_id,
        customer_id,
        event_date as engagement_date,
        open_and_click_count as engagement_count
    from customer_daily
    where open_and_click_count > 0

),

engagement_in_window as (

    select
        engagements.user_id,
        engagements.customer_id,
        cast(sum(engagements.engagement_count) as bigint) as engagement_count
    from engagements
    inner join tenants on engagements.user_id = tenants.user_id
    where
        engagements.engagement_date <= tenants.as_of_date
        and engagements.engagement_date > {{ add_days('tenants.as_of_date', '- tenants.engagement_window_days') }}
    group by engagements.user_id, engagements.customer_id

),

measures as (

    select
        buyers.user_id,
        buyers.customer_id,
        cast(
            {{ dbt.datediff('buyers.last_order_date', 'buyers.as_of_date', 'day') }}
            as integer
        ) as recency_days,
        buyers.purchase_count,
        buyers.net_spend,
        coalesce(engagement_in_window.engagement_count, 0) as engagement_count,
        buyers.first_order_date,
        buyers.as_of_date
    from buyers
    left join engagement_in_window
        on buyers.user_id = engagement_in_window.user_id and buyers.customer_id = engagement_in_window.customer_id

)

select * from measures
