{{ config(meta={'dagster': {'ref': {'name': 'customer_features'}}}) }}

-- On as_of_date features are what the other marts say: every buyer, his orders, his net spend, his last order.
with features as (

    select * from {{ ref('customer_features') }}
    where is_current

),

orders as (

    select
        user_id,
        customer_id,
        count(*) filter (where not is_unmatched_refund) as order_count,
        sum(net_amount) as net_amount,
        max(order_date) filter (where not is_unmatched_refund) as last_order_date
    from {{ ref('orders') }}
    group by user_id, customer_id
    having count(*) filter (where not is_unmatched_refund) > 0

),

differences as (

    select
        user_id,
        customer_id,
        features.order_count,
        features.total_spend,
        features.last_purchase_date
    from features
    full outer join orders using (user_id, customer_id)
    where
        features.order_count is null
        or orders.order_count is null
        or features.order_count <> orders.order_count
        or features.total_spend <> orders.net_amount
        or features.last_purchase_date <> orders.last_order_date

)

select * from differences
