{{ config(meta={'dagster': {'ref': {'name': 'data_as_of'}}}) }}

-- Orders are rebuilt from lines and refunds, spend by day from the events: by as_of_date both must say the same of each
-- customer.
with orders as (

    select
        user_id,
        customer_id,
        sum(gross_amount) as gross_amount,
        sum(refund_amount) as refund_amount,
        sum(net_amount) as net_amount
    from {{ ref('orders') }}
    group by user_id, customer_id

),

clock as (

    select
        user_id,
        as_of_date
    from {{ ref('data_as_of') }}

),

customer_daily as (

    select
        daily.user_id,
        daily.customer_id,
        sum(daily.gross_amount) as gross_amount,
        sum(daily.refund_amount) as refund_amount
    from {{ ref('customer_daily') }} as daily
    inner join clock on daily.user_id = clock.user_id and daily.event_date <= clock.as_of_date
    group by daily.user_id, daily.customer_id

),

differences as (

    select
        coalesce(orders.user_id, customer_daily.user_id) as user_id,
        coalesce(orders.customer_id, customer_daily.customer_id) as customer_id,
        orders.net_amount as net_of_orders,
        customer_daily.gross_amount - customer_daily.refund_amount as net_of_days
    from orders
    full outer join customer_daily
        on
            orders.user_id = customer_daily.user_id
            and orders.customer_id = customer_daily.customer_id
    where
        coalesce(orders.gross_amount, 0) <> coalesce(customer_daily.gross_amount, 0)
        or coalesce(orders.refund_amount, 0) <> coalesce(customer_daily.refund_amount, 0)
        or coalesce(orders.net_amount, 0) <> coalesce(customer_daily.gross_amount - customer_daily.refund_amount, 0)

)

select * from differences
