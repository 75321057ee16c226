with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

tenants as (

    select * from {{ ref('int_tenants') }}

),

days as (

    select
        user_id,
        event_date,
        sum(event_count) as event_count
    from customer_daily
    group by user_id, event_date

),

-- A stray date: more than 60 days of nothing before it, and less than 0.1 % of the events from it on.
days_with_gaps as (

    select
        user_id,
        event_date,
        event_count,
        lag(event_date) over tenant_days as prior_date,
        sum(event_count) over (
            partition by user_id order by event_date desc rows unbounded preceding
        ) as events_from_here,
        sum(event_count) over (partition by user_id) as events_in_all
    from days
    window tenant_days as (partition by user_id order by event_date)

),

stray_dates as (

    select
        user_id,
        min(event_date) as stray_from_date
    from days_with_gaps
    where
        {{ dbt.datediff('prior_date', 'event_date', 'day') }} > 60
        and 1000 * events_from_here < events_in_all
    group by user_id

),

counts as (

    select
        days.user_id,
        sum(days.event_count) filter (where days.event_date <= clock.as_of_date) as event_count,
        sum(days.event_count) filter (where days.event_date > clock.as_of_date) as pending_event_count
    from days
    inner join clock on days.user_id = clock.user_id
    group by days.user_id

),

tenant_rows as (

    select
        clock.user_id,
        clock.timezone,
        tenants.org_type,
        tenants.currency,
        clock.as_of_basis,
        cast(coalesce(counts.event_count, 0) as bigint) as event_count,
        cast(coalesce(counts.pending_event_count, 0) as bigint) as pending_event_count,
        clock.as_of_date,
        clock.first_event_date,
        clock.last_event_date,
        stray_dates.stray_from_date,
        clock.as_of_at,
        clock.last_loaded_at
    from clock
    inner join tenants on clock.user_id = tenants.user_id
    left join counts on clock.user_id = counts.user_id
    left join stray_dates on clock.user_id = stray_dates.user_id

)

select * from tenant_rows
