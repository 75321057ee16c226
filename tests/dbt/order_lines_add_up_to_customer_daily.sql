{{ config(meta={'dagster': {'ref': {'name': 'customer_daily'}}}) }}

-- Both facts are incremental and each is read alone by later marts: on no date may they disagree on what was charged.
with order_lines as (

    select
        user_id,
        event_date,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount
    from {{ ref('order_lines') }}
    group by user_id, event_date

),

customer_daily as (

    select
        user_id,
        event_date,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount
    from {{ ref('customer_daily') }}
    group by user_id, event_date

),

differences as (

    select
        coalesce(order_lines.user_id, customer_daily.user_id) as user_id,
        coalesce(order_lines.event_date, customer_daily.event_date) as event_date,
        order_lines.gross_amount as gross_of_lines,
        customer_daily.gross_amount as gross_of_days
    from order_lines
    full outer join customer_daily
        on
            order_lines.user_id = customer_daily.user_id
            and order_lines.event_date = customer_daily.event_date
    where
        coalesce(order_lines.gross_amount, 0) <> coalesce(customer_daily.gross_amount, 0)
        or coalesce(order_lines.discount_amount, 0) <> coalesce(customer_daily.discount_amount, 0)

)

select * from differences
