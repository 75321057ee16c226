{{ config(materialized='table') }}

with customer_daily as (

    select * from {{ ref('customer_daily') }}

),

orders as (

    select * from {{ ref('orders') }}
    where not is_unmatched_refund

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

orders_by_day as (

    select
        user_id,
        customer_id,
        order_date,
        count(*) as order_count
    from orders
    group by user_id, customer_id, order_date

),

with_gaps as (

    select
        *,
        {{ days_between(
            'lag(order_date) over (partition by user_id, customer_id order by order_date)', 'order_date'
        ) }} as gap_days
    from orders_by_day

),

days as (

    select
        customer_daily.user_id,
        customer_daily.customer_id,
        coalesce(with_gaps.order_count, 0) as order_count,
        customer_daily.gross_amount,
        customer_daily.discount_amount,
        customer_daily.refund_amount,
        customer_daily.event_date,
        with_gaps.order_date as purchase_date,
        with_gaps.gap_days
    from customer_daily
    inner join clock
        on customer_daily.user_id = clock.user_id and customer_daily.event_date <= clock.as_of_date
    left join with_gaps
        on
            customer_daily.user_id = with_gaps.user_id
            and customer_daily.customer_id = with_gaps.customer_id
            and customer_daily.event_date = with_gaps.order_date
    where
        with_gaps.order_count > 0
        or customer_daily.gross_amount <> 0
        or customer_daily.discount_amount <> 0
        or customer_daily.refund_amount <> 0

)

select * from days
