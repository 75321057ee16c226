{{ config(meta={'dagster': {'ref': {'name': 'order_lines'}}}) }}

-- What an event charged is what its lines charge, whether they are listed or not; an event without a value has only its
-- lines.
with purchases as (

    select
        id,
        event_value
    from {{ ref('customer_behavior_events') }}
    where
        {{ is_under_test('event_date') }}
        and event_type = 'purchase'

),

order_lines as (

    select
        event_id,
        sum(gross_amount) as gross_amount
    from {{ ref('order_lines') }}
    where {{ is_under_test('event_date') }}
    group by event_id

),

differences as (

    select
        coalesce(purchases.id, order_lines.event_id) as event_id,
        purchases.event_value,
        order_lines.gross_amount
    from purchases
    full outer join order_lines on purchases.id = order_lines.event_id
    where
        purchases.id is null
        or order_lines.event_id is null
        or purchases.event_value <> order_lines.gross_amount

)

select * from differences
