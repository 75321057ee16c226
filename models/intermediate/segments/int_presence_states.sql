with tenants as (

    select
        tenants.user_id,
        tenants.active_days,
        clock.history_from,
        clock.as_of_date
    from {{ ref('int_tenants') }} as tenants
    inner join {{ ref('int_segment_clock') }} as clock on tenants.user_id = clock.user_id

),

activity as (

    select * from {{ ref('int_customer_activity') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

-- An event of `active_days` before the history keeps nobody active in it.
event_days as (

    select
        customer_daily.user_id,
        customer_daily.customer_id,
        customer_daily.event_date,
        {{ add_days('customer_daily.event_date', 'tenants.active_days') }} as active_until,
        lag({{ add_days('customer_daily.event_date', 'tenants.active_days') }}) over timeline
        >= customer_daily.event_date as is_continued
    from customer_daily
    inner join tenants on customer_daily.user_id = tenants.user_id
    where
        customer_daily.event_date > {{ add_days('tenants.history_from', '- tenants.active_days') }}
        and customer_daily.event_date <= tenants.as_of_date
    window timeline as (
        partition by customer_daily.user_id, customer_daily.customer_id
        order by customer_daily.event_date
    )

),

numbered_event_days as (

    select
        *,
        count(*) filter (where is_continued is not true) over (
            partition by user_id, customer_id
            order by event_date
            rows unbounded preceding
        ) as activity_number
    from event_days

),

states as (

    select
        user_id,
        customer_id,
        'seen' as state,
        first_event_date as from_date,
        cast(null as date) as until_date
    from activity

    union all

    select
        user_id,
        customer_id,
        'active' as state,
        min(event_date) as from_date,
        max(active_until) as until_date
    from numbered_event_days
    group by user_id, customer_id, activity_number

),

states_in_history as (

    select states.*
    from states
    inner join tenants on states.user_id = tenants.user_id
    where
        states.from_date <= tenants.as_of_date
        and states.from_date < coalesce(states.until_date, {{ add_days('tenants.as_of_date', 1) }})
        and coalesce(states.until_date > tenants.history_from, true)

)

select * from states_in_history
