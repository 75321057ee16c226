with clock as (

    select * from {{ ref('int_segment_clock') }}

),

pending_loads as (

    select
        load_id,
        feed
    from {{ ref('stg_load_ledger') }}
    where state = 'pending'

),

profiles as (

    select
        *,
        coalesce(min(signup_at) over (partition by user_id, customer_id), known_at) as first_known_at
    from {{ ref('int_customer_profiles') }}

),

activity as (

    select * from {{ ref('int_customer_activity') }}

),

organizations as (

    select * from {{ ref('stg_organization_versions') }}

),

requests as (

    select * from {{ ref('stg_recompute_requests') }}
    where state = 'pending' and from_date is null

),

-- A first version counts from the customer's start, which another version may have set earlier; a later one changes
-- nothing before its time.
pending_profiles as (

    select
        profiles.user_id,
        min(
            coalesce(
                cast({{ local_time('profiles.valid_from', 'clock.timezone') }} as date),
                least(
                    activity.first_event_date,
                    cast(
                        {{ local_time('profiles.first_known_at', 'clock.timezone') }} as date
                    )
                )
            )
        ) as first_date
    from profiles
    inner join clock on profiles.user_id = clock.user_id
    left join activity on profiles.user_id = activity.user_id and profiles.customer_id = activity.customer_id
    where
        profiles.load_id in (
            select pending_loads.load_id from pending_loads
            where pending_loads.feed = 'customers'
        )
    group by profiles.user_id

),

-- Where the tenant is changes every customer's distance to it.
pending_organizations as (

    select distinct
        clock.user_id,
        clock.history_from as first_date
    from organizations
    inner join clock on organizations.user_id = clock.user_id
    where
        organizations.load_id in (
            select pending_loads.load_id from pending_loads
            where pending_loads.feed = 'organizations'
        )

),

requested_in_whole as (

    select
        clock.user_id,
        clock.history_from as first_date
    from requests
    inner join clock on coalesce(requests.user_id, clock.user_id) = clock.user_id

),

changes as (

    select * from pending_profiles
    union all
    select * from pending_organizations
    union all
    select * from requested_in_whole

)

select * from changes
