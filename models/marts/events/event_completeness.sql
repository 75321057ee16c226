{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='event_date',
    meta={'published_by': 'event_date'}
) }}

{%- set checked_columns = [
    'event_category', 'product_id', 'product_name', 'product_category', 'event_value', 'event_properties', 'page_url',
    'referrer_url', 'ip_address', 'user_agent', 'device_type', 'browser', 'os', 'location', 'session_id', 'order_id'
] %}

with events as (

    select * from {{ ref('customer_behavior_events') }}
    where {{ is_touched('event_date') }}

),

counted as (

    select
        user_id,
        event_date,
        event_type,
        {%- for column in checked_columns %}
            count({{ column }}) as {{ column }},
        {%- endfor %}
        count(*) as event_count
    from events
    group by user_id, event_date, event_type

),

column_rows as (
    {% for column in checked_columns %}
        select
            user_id,
            event_type,
            '{{ column }}' as column_name,
            event_count,
            {{ column }} as filled_count,
            {{ column }} / event_count as filled_rate,
            event_date
        from counted
        {%- if not loop.last %}
            union all
        {%- endif %}
    {%- endfor %}

)

select * from column_rows
