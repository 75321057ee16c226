{{ config(meta={'dagster': {'ref': {'name': 'customer_daily'}}}) }}

-- Each hour belongs to exactly one part of the day, so that shares of the parts add up to one.
with customer_daily as (

    select * from {{ ref('customer_daily') }}

),

unbalanced_days as (

    select *
    from customer_daily
    where
        event_count
        <> morning_event_count + lunch_event_count + afternoon_event_count + dinner_event_count + night_event_count
        or first_event_at > last_event_at

)

select * from unbalanced_days
