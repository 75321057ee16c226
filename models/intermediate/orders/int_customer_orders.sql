{{ config(materialized='table') }}

with orders as (

    select * from {{ ref('orders') }}

),

by_customer as (

    select
        user_id,
        customer_id,
        count(*) filter (where not is_unmatched_refund) as order_count,
        cast(sum(gross_amount) as decimal(18, 4)) as gross_amount,
        cast(sum(refund_amount) as decimal(18, 4)) as refund_amount,
        cast(sum(net_amount) as decimal(18, 4)) as net_amount,
        min(order_date) filter (where not is_unmatched_refund) as first_order_date,
        max(order_date) filter (where not is_unmatched_refund) as last_order_date,
        min(ordered_at) filter (where not is_unmatched_refund) as first_ordered_at,
        max(ordered_at) filter (where not is_unmatched_refund) as last_ordered_at,
        max(gross_amount) filter (where order_number = 1) as first_order_gross
    from orders
    group by user_id, customer_id

)

select * from by_customer
