{{ config(materialized='table') }}

with customer_daily as (

    select * from {{ ref('customer_daily') }}

),

tenants as (

    select * from {{ ref('int_tenants') }}

),

events_by_date as (

    select
        user_id,
        event_date,
        sum(event_count) as event_count
    from customer_daily
    group by user_id, event_date

),

ranges as (

    select
        user_id,
        min(event_date) as first_event_date,
        max(event_date) as last_event_date
    from events_by_date
    group by user_id

),

-- A tenant without events has its load's date: profiles alone are data, too.
with_load_dates as (

    select
        tenants.user_id,
        tenants.timezone,
        tenants.last_loaded_at,
        cast({{ local_time('tenants.last_loaded_at', 'tenants.timezone') }} as date) as load_date,
        ranges.first_event_date,
        ranges.last_event_date
    from tenants
    left join ranges on tenants.user_id = ranges.user_id

),

decided as (

    select
        *,
        coalesce(last_event_date >= {{ add_days('load_date', -7) }}, true) as is_live,
        '{{ var("as_of_date") or "" }}' as given_date
    from with_load_dates

),

clock as (

    select
        user_id,
        timezone,
        -- What the rule says also where another date was given: what is known by now speaks of no later day.
        case when is_live then {{ add_days('load_date', -1) }} else last_event_date end as ruled_date,
        case
            when given_date <> '' then cast(given_date as date)
            when is_live then {{ add_days('load_date', -1) }}
            else last_event_date
        end as as_of_date,
        case
            when given_date <> '' then 'given'
            when is_live then 'live'
            else 'last event'
        end as as_of_basis,
        first_event_date,
        last_event_date,
        last_loaded_at
    from decided

),

with_instants as (

    select
        *,
        {{ utc_instant(add_days('as_of_date', 1), 'timezone') }} as as_of_at
    from clock

)

select * from with_instants
