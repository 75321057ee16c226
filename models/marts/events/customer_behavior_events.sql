{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='event_date',
    meta={'published_by': 'event_date'}
) }}

with events as (

    select * from {{ ref('stg_events') }}
    where {{ may_be_touched('created_at') }}

),

tenants as (

    select
        user_id,
        session_cut_hour
    from {{ ref('int_tenants') }}

),

event_rows as (

    select
        events.event_id as id,
        events.user_id,
        events.customer_id,
        events.event_type,
        events.event_category,
        events.product_id,
        events.product_name,
        events.product_category,
        events.event_value,
        cast(events.event_properties as json) as event_properties,
        events.page_url,
        events.referrer_url,
        events.ip_address,
        events.user_agent,
        events.device_type,
        events.browser,
        events.os,
        cast(events.location as json) as location,
        events.session_id,
        events.created_at,
        events.source_event_id,
        events.order_id,
        cast(extract(hour from events.local_created_at) as integer) as local_hour,
        cast(events.local_created_at - to_hours(tenants.session_cut_hour) as date) as session_date,
        events.event_date
    from events
    inner join tenants on events.user_id = tenants.user_id

),

touched_rows as (

    select * from event_rows
    where {{ is_touched('event_date') }}

)

select * from touched_rows
