{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='event_date',
    meta={'published_by': 'event_date'}
) }}

with events as (

    select * from {{ ref('customer_behavior_events') }}
    where
        {{ is_touched('event_date') }}
        and event_type in ('refund', 'return')

),

refund_rows as (

    select
        id,
        user_id,
        customer_id,
        coalesce(order_id, cast(id as varchar)) as order_id,
        event_type as refund_type,
        cast(coalesce(event_value, 0) as decimal(18, 4)) as refund_amount,
        event_date,
        created_at
    from events

)

select * from refund_rows
