{{ config(materialized='table') }}

{% set states = ['member', 'seen', 'active', 'buyer', 'repeat_buyer', 'at_risk', 'churned', 'churning'] %}
{% set of_the_day = [
    'customers_with_event', 'total_events', 'total_page_views', 'total_product_views', 'total_add_to_cart',
    'total_purchases', 'buyers_that_day', 'gross_amount', 'refund_amount', 'session_count', 'engaged_session_count',
    'session_seconds'
] %}
{% set running = [
    'window_orders', 'window_revenue', 'window_email_sent', 'window_email_open', 'window_email_click',
    'window_sms_sent', 'window_sms_open', 'net_to_date'
] %}

with days as (

    select * from {{ ref('int_segment_days') }}

),

state_changes as (

    select * from {{ ref('int_segment_state_changes') }}

),

fact_changes as (

    select * from {{ ref('int_segment_fact_changes') }}

),

states_by_date as (

    select
        user_id,
        segment_key,
        change_date,
        {%- for state in states %}
            sum(entered_count - left_count) filter (where state = '{{ state }}') as {{ state }}_change,
        {%- endfor %}
        sum(begun_count) filter (where state = 'seen') as new_customers,
        sum(begun_count) filter (where state = 'churned') as newly_churned_customers
    from state_changes
    group by user_id, segment_key, change_date

),

facts_by_date as (

    select
        user_id,
        segment_key,
        {%- for measure in of_the_day + running %}
            sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        change_date
    from fact_changes
    group by user_id, segment_key, change_date

),

daily as (

    select
        days.user_id,
        days.segment_key,
        days.segment_id,
        days.family,
        days.is_exclusive,
        days.is_active,
        {%- for state in states %}
            coalesce(sum(states_by_date.{{ state }}_change) over to_date, 0) as {{ state }}_customers,
        {%- endfor %}
        coalesce(states_by_date.new_customers, 0) as new_customers,
        coalesce(states_by_date.newly_churned_customers, 0) as newly_churned_customers,
        {%- for measure in of_the_day %}
            coalesce(facts_by_date.{{ measure }}, 0) as {{ measure }},
        {%- endfor %}
        {%- for measure in running %}
            coalesce(sum(facts_by_date.{{ measure }}) over to_date, 0) as {{ measure }},
        {%- endfor %}
        days.date
    from days
    left join states_by_date
        on
            days.user_id = states_by_date.user_id
            and days.segment_key = states_by_date.segment_key
            and days.date = states_by_date.change_date
    left join facts_by_date
        on
            days.user_id = facts_by_date.user_id
            and days.segment_key = facts_by_date.segment_key
            and days.date = facts_by_date.change_date
    window to_date as (
        partition by days.user_id, days.segment_key
        order by days.date
        rows unbounded preceding
    )

)

select * from daily
