{%- set windows = [30, 90] %}
{%- set measures = ['session', 'engagement_event', 'open_and_click'] %}

{{ config(materialized='table') }}

with feature_customers as (

    select * from {{ ref('int_feature_customers') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}
    where engagement_event_count + open_and_click_count + support_ticket_count + billing_complaint_count > 0

),

sessions as (

    select * from {{ ref('sessions') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

-- By the date of the start: the end, and whether the session is an engaged one, may still hang on later events.
session_starts as (

    select
        sessions.user_id,
        sessions.customer_id,
        cast({{ local_time('sessions.started_at', 'clock.timezone') }} as date) as event_date
    from sessions
    inner join clock on sessions.user_id = clock.user_id

),

tallies as (

    select
        user_id,
        customer_id,
        event_date,
        0 as session_count,
        engagement_event_count,
        open_and_click_count,
        support_ticket_count + billing_complaint_count as ticket_count
    from customer_daily

    union all

    select
        user_id,
        customer_id,
        event_date,
        1 as session_count,
        0 as engagement_event_count,
        0 as open_and_click_count,
        0 as ticket_count
    from session_starts

),

-- All that is older counts by its tickets alone.
tallies_by_date as (

    select
        feature_customers.feature_date,
        tallies.*,
        {{ days_between('tallies.event_date', 'feature_customers.feature_date') }} as days_ago
    from feature_customers
    inner join tallies
        on
            feature_customers.user_id = tallies.user_id
            and feature_customers.customer_id = tallies.customer_id
            and feature_customers.feature_date >= tallies.event_date
    where
        tallies.ticket_count > 0
        or {{ days_between('tallies.event_date', 'feature_customers.feature_date') }} < {{ windows[-1] }}

),

engagement as (

    select
        user_id,
        customer_id,
        feature_date,
        {%- for measure in measures %}
            {%- for window in windows %}
                sum({{ measure }}_count) filter (where days_ago < {{ window }})
                    as {{ measure }}_count_last_{{ window }}_days,
            {%- endfor %}
        {%- endfor %}
        sum(ticket_count) as ticket_count
    from tallies_by_date
    group by user_id, customer_id, feature_date

)

select * from engagement
