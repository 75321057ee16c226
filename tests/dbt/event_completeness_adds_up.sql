{{ config(meta={'dagster': {'ref': {'name': 'event_completeness'}}}) }}

-- Shares are over all events of a type and date: each column must have seen as many as the daily fact.
with event_completeness as (

    select
        user_id,
        event_date,
        column_name,
        sum(event_count) as event_count,
        bool_or(filled_count > event_count or filled_count < 0) as is_overfilled
    from {{ ref('event_completeness') }}
    group by user_id, event_date, column_name

),

customer_daily as (

    select
        user_id,
        event_date,
        sum(event_count) as event_count
    from {{ ref('customer_daily') }}
    group by user_id, event_date

),

differences as (

    select
        coalesce(customer_daily.user_id, event_completeness.user_id) as user_id,
        coalesce(customer_daily.event_date, event_completeness.event_date) as event_date,
        event_completeness.column_name
    from customer_daily
    full outer join event_completeness
        on
            customer_daily.user_id = event_completeness.user_id
            and customer_daily.event_date = event_completeness.event_date
    where
        customer_daily.event_count is distinct from event_completeness.event_count
        or event_completeness.is_overfilled

)

select * from differences
