{{ config(materialized='table') }}

with organization_versions as (

    select * from {{ ref('stg_organization_versions') }}

),

tenants as (

    select
        user_id,
        timezone
    from {{ ref('stg_organizations') }}

),

requests as (

    select * from {{ ref('stg_recompute_requests') }}
    where state = 'pending'

),

-- A request that names its tenant holds also where no load has rows of the tenant any more.
requests_by_tenant as (

    select
        user_id,
        from_date,
        to_date
    from requests
    where user_id is not null

    union all

    select
        tenants.user_id,
        requests.from_date,
        requests.to_date
    from requests
    cross join tenants
    where requests.user_id is null

),

pending_loads as (

    select distinct load_id
    from {{ ref('stg_load_ledger') }}
    where state = 'pending'

),

-- Events are stored in the order of their loads: the lower bound lets the engine skip what was stored before.
minutes_of_pending_events as (

    select
        user_id,
        min(created_at) as first_at,
        max(created_at) as last_at
    from {{ ref('stg_event_times') }}
    where
        load_id >= (select min(pending_loads.load_id) from pending_loads)
        and load_id in (select pending_loads.load_id from pending_loads)
    group by user_id, date_trunc('minute', created_at)

),

-- A minute has one midnight at most, also where clocks go back at 00:01 (an hour has two there): the dates of its
-- first and last event are all.
dates_of_pending_events as (

    select distinct
        minutes.user_id,
        cast({{ local_time('moments.created_at', 'tenants.timezone') }} as date) as event_date
    from minutes_of_pending_events as minutes
    inner join tenants on minutes.user_id = tenants.user_id
    cross join lateral (values (minutes.first_at), (minutes.last_at)) as moments (created_at)

),

-- The marts may hold dates in any zone that was in force since the last publication: the published or a pending one.
zones_in_question as (

    select
        user_id,
        timezone
    from organization_versions
    where load_id in (select pending_loads.load_id from pending_loads)

    union all

    select
        tenants.user_id,
        coalesce(
            arg_max(
                versions.timezone,
                (versions.updated_at, versions.load_id, versions.file_id, versions.record_number)
            ),
            'UTC'
        ) as timezone
    from tenants
    left join organization_versions as versions
        on
            tenants.user_id = versions.user_id
            and versions.load_id not in (select pending_loads.load_id from pending_loads)
    group by tenants.user_id

),

tenants_in_whole as (

    select user_id
    from zones_in_question
    group by user_id
    having count(distinct timezone) > 1

    union

    select user_id
    from requests_by_tenant
    where from_date is null

),

-- Whatever the zone was, a local date lies within a day of the UTC date.
event_days as (

    select distinct
        user_id,
        cast(created_at as date) as event_day
    from {{ ref('stg_event_times') }}
    where user_id in (select tenants_in_whole.user_id from tenants_in_whole)

),

dates_in_any_zone as (

    select distinct
        event_days.user_id,
        {{ add_days('event_days.event_day', 'shifts.day_count') }} as event_date
    from event_days
    cross join (values (-1), (0), (1)) as shifts (day_count)

),

requested_dates as (

    select
        user_id,
        {{ unnest_days('from_date', 'to_date') }} as event_date
    from requests_by_tenant
    where from_date is not null

),

touched as (

    select * from dates_of_pending_events
    union
    select * from dates_in_any_zone
    union
    select * from requested_dates

)

select * from touched
