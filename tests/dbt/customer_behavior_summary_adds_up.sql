{{ config(meta={'dagster': {'ref': {'name': 'customer_behavior_summary'}}}) }}

-- What a customer spent is the net of its orders, its events are those of customers, and nobody is missing.
with summaries as (

    select * from {{ ref('customer_behavior_summary') }}

),

customers as (

    select
        user_id,
        customer_id,
        event_count
    from {{ ref('customers') }}

),

orders as (

    select
        user_id,
        customer_id,
        count(*) filter (where not is_unmatched_refund) as order_count,
        sum(net_amount) as net_amount
    from {{ ref('orders') }}
    group by user_id, customer_id

),

differences as (

    select
        user_id,
        customer_id,
        summaries.total_events,
        customers.event_count,
        summaries.total_spent,
        orders.net_amount
    from summaries
    full outer join customers using (user_id, customer_id)
    full outer join orders using (user_id, customer_id)
    where
        summaries.total_events is distinct from customers.event_count
        or summaries.total_spent is distinct from coalesce(orders.net_amount, 0)
        or summaries.total_purchases is distinct from coalesce(orders.order_count, 0)
        or summaries.total_spent is distinct from summaries.gross_amount - summaries.refund_amount

)

select * from differences
