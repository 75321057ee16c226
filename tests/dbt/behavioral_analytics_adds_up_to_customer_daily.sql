{{ config(meta={'dagster': {'ref': {'name': 'behavioral_analytics'}}}) }}

-- For each date up to as_of_date both count the same events, and no date between the first and as_of_date is missing.
with analytics as (

    select
        user_id,
        date,
        total_events
    from {{ ref('behavioral_analytics') }}
    where segment_id is null

),

clock as (

    select
        user_id,
        first_event_date,
        as_of_date
    from {{ ref('data_as_of') }}

),

customer_daily as (

    select
        daily.user_id,
        daily.event_date as date,
        sum(daily.event_count) as event_count
    from {{ ref('customer_daily') }} as daily
    inner join clock on daily.user_id = clock.user_id and daily.event_date <= clock.as_of_date
    group by daily.user_id, daily.event_date

),

differing_dates as (

    select
        user_id,
        date,
        analytics.total_events,
        customer_daily.event_count
    from analytics
    full outer join customer_daily using (user_id, date)
    where analytics.total_events is null or analytics.total_events <> coalesce(customer_daily.event_count, 0)

),

missing_dates as (

    select
        clock.user_id,
        max(analytics.date) as date,
        count(analytics.date) as total_events,
        null as event_count
    from clock
    left join analytics on clock.user_id = analytics.user_id
    where clock.as_of_date >= clock.first_event_date
    group by clock.user_id, clock.first_event_date, clock.as_of_date
    having
        min(analytics.date) <> clock.first_event_date
        or max(analytics.date) <> clock.as_of_date
        or {{ add_days('clock.first_event_date', 'cast(count(analytics.date) as integer)') }}
        <> {{ add_days('clock.as_of_date', 1) }}

),

failures as (

    select * from differing_dates
    union all
    select * from missing_dates

)

select * from failures
