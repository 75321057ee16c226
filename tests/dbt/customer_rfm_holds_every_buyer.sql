{{ config(meta={'dagster': {'ref': {'name': 'customer_rfm'}}}) }}

-- Who has an order by as_of_date is a buyer and has scores; nobody else has.
with orders as (

    select
        user_id,
        customer_id,
        count(*) as order_count
    from {{ ref('orders') }}
    where not is_unmatched_refund
    group by user_id, customer_id

),

customer_rfm as (

    select * from {{ ref('customer_rfm') }}

),

differences as (

    select
        user_id,
        customer_id,
        orders.order_count,
        customer_rfm.purchase_count
    from orders
    full outer join customer_rfm using (user_id, customer_id)
    where
        orders.order_count is null
        or customer_rfm.purchase_count is null
        or customer_rfm.purchase_count > orders.order_count

)

select * from differences
