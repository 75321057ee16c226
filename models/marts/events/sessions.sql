{{ config(materialized='view', meta={'published_by': 'session_date'}) }}

with sessions as (

    select * from {{ ref('int_sessions') }}

),

channels as (

    select * from {{ ref('int_session_channels') }}

),

session_rows as (

    select
        sessions.id,
        sessions.user_id,
        sessions.customer_id,
        sessions.source_session_id,
        sessions.event_count,
        sessions.page_view_count,
        sessions.product_view_count,
        sessions.add_to_cart_count,
        sessions.purchase_event_count,
        sessions.duration_seconds,
        sessions.is_engaged,
        sessions.is_long,
        sessions.device_type,
        sessions.event_category,
        sessions.product_category,
        channels.channel,
        sessions.utm_source,
        sessions.utm_medium,
        sessions.utm_campaign,
        sessions.referrer_host,
        sessions.landing_page,
        sessions.session_date,
        sessions.started_at,
        sessions.ended_at
    from sessions
    inner join channels on sessions.sources = channels.sources

)

select * from session_rows
