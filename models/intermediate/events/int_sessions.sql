{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='session_date',
    in_batches=true
) }}

with events as (

    select * from {{ ref('customer_behavior_events') }}
    where {{ is_touched('session_date') }}

),

event_types as (

    select * from {{ ref('event_types') }}

),

tenants as (

    select
        user_id,
        session_timeout_minutes
    from {{ ref('int_tenants') }}

),

-- Only what the customer did makes a session; an unknown type counts as done by the customer.
behavioral_events as (

    select
        events.*,
        coalesce(event_types.is_key_event, false) as is_key_event,
        tenants.session_timeout_minutes
    from events
    inner join tenants on events.user_id = tenants.user_id
    left join event_types on events.event_type = event_types.event_type
    where coalesce(event_types.is_behavioral, true)

),

session_starts_marked as (

    select
        *,
        coalesce(
            created_at > lag(created_at) over customer_timeline + to_minutes(session_timeout_minutes), true
        ) as is_session_start
    from behavioral_events
    window customer_timeline as (
        partition by user_id, customer_id, session_date, session_id
        order by created_at, id
    )

),

numbered as (

    select
        *,
        sum(cast(is_session_start as integer)) over (
            partition by user_id, customer_id, session_date, session_id
            order by created_at, id
            rows unbounded preceding
        ) as session_number
    from session_starts_marked

),

aggregated as (

    select
        user_id,
        customer_id,
        session_date,
        session_id as source_session_id,
        session_number,
        count(*) as event_count,
        count(*) filter (where event_type = 'page_view') as page_view_count,
        count(*) filter (where event_type = 'product_view') as product_view_count,
        count(*) filter (where event_type = 'add_to_cart') as add_to_cart_count,
        count(*) filter (where event_type = 'purchase') as purchase_event_count,
        bool_or(is_key_event) as has_key_event,
        min(created_at) as started_at,
        max(created_at) as ended_at,
        -- Attributes of a session are those of its first event: one row a session passes the filter.
        max(device_type) filter (where is_session_start) as device_type,
        max(event_category) filter (where is_session_start) as event_category,
        max(page_url) filter (where is_session_start) as landing_page,
        max(referrer_url) filter (where is_session_start) as referrer_url,
        arg_min(product_category, (created_at, id)) as product_category
    from numbered
    group by user_id, customer_id, session_date, session_id, session_number

),

with_hosts as (

    select
        *,
        {{ seconds_between('started_at', 'ended_at') }} as duration_seconds,
        {{ url_parameter('landing_page', 'utm_source') }} as utm_source,
        {{ url_parameter('landing_page', 'utm_medium') }} as utm_medium,
        {{ url_parameter('landing_page', 'utm_campaign') }} as utm_campaign,
        {{ url_host('landing_page') }} as landing_host,
        {{ url_host('referrer_url') }} as referring_host
    from aggregated

),

-- A page of the same site refers to itself: that is no source.
session_rows as (

    select
        * exclude (session_number, has_key_event, landing_host, referring_host, referrer_url),
        {{ surrogate_uuid(['user_id', 'customer_id', 'source_session_id', 'session_date', 'session_number']) }} as id,
        (
            duration_seconds > 10
            or has_key_event
            or coalesce(nullif(page_view_count, 0), product_view_count) >= 2
        ) as is_engaged,
        duration_seconds > 12 * 3600 as is_long,
        case when landing_host is null or referring_host <> landing_host then referring_host end as referrer_host,
        concat_ws(
            '|',
            'utm_source=' || utm_source,
            'utm_medium=' || utm_medium,
            'referrer_host=' || referrer_host,
            'event_category=' || event_category
        ) as sources
    from with_hosts

)

select * from session_rows
