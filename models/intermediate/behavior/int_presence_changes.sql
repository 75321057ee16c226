with tenants as (

    select
        tenants.user_id,
        tenants.active_days,
        clock.as_of_date
    from {{ ref('int_tenants') }} as tenants
    inner join {{ ref('int_tenant_clock') }} as clock on tenants.user_id = clock.user_id

),

customers as (

    select * from {{ ref('customers') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

-- A customer's days become intervals that end at the customer's next day at the latest: no two overlap, so that a
-- trailing window costs one window function over the days and never a distinct count per date.
event_days as (

    select
        customer_daily.user_id,
        customer_daily.event_date,
        lag(customer_daily.event_date) over timeline is null as is_first,
        least(
            lead(customer_daily.event_date) over timeline,
            {{ add_days('customer_daily.event_date', 'tenants.active_days') }}
        ) as active_until
    from customer_daily
    inner join tenants on customer_daily.user_id = tenants.user_id
    where customer_daily.event_date <= tenants.as_of_date
    window timeline as (
        partition by customer_daily.user_id, customer_daily.customer_id
        order by customer_daily.event_date
    )

),

changes as (

    select
        user_id,
        first_seen_date as change_date,
        'known' as state,
        count(*) as entered_count,
        0 as left_count
    from customers
    group by user_id, first_seen_date

    union all

    select
        user_id,
        event_date as change_date,
        'seen' as state,
        count(*) as entered_count,
        0 as left_count
    from event_days
    where is_first
    group by user_id, event_date

    union all

    select
        user_id,
        event_date as change_date,
        'active' as state,
        count(*) as entered_count,
        0 as left_count
    from event_days
    group by user_id, event_date

    union all

    select
        user_id,
        active_until as change_date,
        'active' as state,
        0 as entered_count,
        count(*) as left_count
    from event_days
    group by user_id, active_until

)

select * from changes
