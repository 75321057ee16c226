with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

tenants as (

    select * from {{ ref('int_tenants') }}

),

first_loads as (

    select
        user_id,
        min(loaded_at) as first_loaded_at
    from {{ ref('stg_tenant_loads') }}
    group by user_id

),

last_events as (

    select
        user_id,
        max(last_event_date) as last_event_date
    from {{ ref('int_customer_activity') }}
    group by user_id

),

-- A live tenant's history begins before its first load and then only grows; of an old data set it ends with the data.
anchored as (

    select
        clock.user_id,
        clock.timezone,
        clock.as_of_date,
        clock.as_of_at,
        clock.first_event_date,
        tenants.segment_history_days,
        least(
            {{ add_days('cast(' ~ local_time('first_loads.first_loaded_at', 'clock.timezone') ~ ' as date)', -1) }},
            last_events.last_event_date
        ) as anchor_date
    from clock
    inner join tenants on clock.user_id = tenants.user_id
    inner join first_loads on clock.user_id = first_loads.user_id
    left join last_events on clock.user_id = last_events.user_id

),

with_history as (

    select
        user_id,
        timezone,
        least(
            greatest({{ add_days('anchor_date', '1 - segment_history_days') }}, first_event_date), as_of_date
        ) as history_from,
        as_of_date,
        as_of_at
    from anchored

)

select * from with_history
