{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='event_date',
    meta={'published_by': 'event_date'}
) }}

with purchases as (

    select
        *,
        {{ json_has_items('event_properties', 'lines') }} as has_lines
    from {{ ref('customer_behavior_events') }}
    where
        {{ is_touched('event_date') }}
        and event_type = 'purchase'

),

single_lines as (

    select
        id as event_id,
        user_id,
        customer_id,
        order_id,
        1 as line_number,
        product_id,
        product_name,
        product_category,
        nullif({{ json_text('event_properties', 'brand') }}, '') as brand,
        coalesce({{ json_number('event_properties', 'quantity') }}, 1) as quantity,
        coalesce(event_value, 0) as gross_amount,
        coalesce({{ json_number('event_properties', 'discount') }}, 0) as discount_amount,
        local_hour,
        event_date,
        created_at
    from purchases
    where not has_lines

),

unnested as (

    select
        * exclude (product_id, product_name, product_category),
        {{ unnest_json_array('event_properties', 'lines') }} as listed_line,
        {{ unnest_positions('event_properties', 'lines') }} as line_number
    from purchases
    where has_lines

),

listed_lines as (

    select
        id as event_id,
        user_id,
        customer_id,
        order_id,
        line_number,
        {{ json_text('listed_line', 'product_id') }} as product_id,
        {{ json_text('listed_line', 'product_name') }} as product_name,
        {{ json_text('listed_line', 'product_category') }} as product_category,
        nullif({{ json_text('listed_line', 'brand') }}, '') as brand,
        coalesce({{ json_number('listed_line', 'quantity') }}, 1) as quantity,
        coalesce({{ json_number('listed_line', 'value') }}, 0) as gross_amount,
        coalesce({{ json_number('listed_line', 'discount') }}, 0) as discount_amount,
        local_hour,
        event_date,
        created_at,
        event_value
    from unnested

),

-- What was charged is the event's value: shipping, tax or rounding that no listed line holds stands in line 0.
remainders as (

    select
        event_id,
        user_id,
        customer_id,
        order_id,
        0 as line_number,
        cast(null as varchar) as product_id,
        cast(null as varchar) as product_name,
        cast(null as varchar) as product_category,
        cast(null as varchar) as brand,
        0 as quantity,
        event_value - sum(gross_amount) as gross_amount,
        0 as discount_amount,
        local_hour,
        event_date,
        created_at
    from listed_lines
    group by event_id, user_id, customer_id, order_id, event_value, local_hour, event_date, created_at
    having event_value <> sum(gross_amount)

),

all_lines as (

    select * from single_lines
    union all
    select * exclude (event_value) from listed_lines
    union all
    select * from remainders

),

line_rows as (

    select
        {{ surrogate_uuid(['event_id', 'line_number']) }} as id,
        user_id,
        customer_id,
        coalesce(order_id, cast(event_id as varchar)) as order_id,
        event_id,
        cast(line_number as integer) as line_number,
        product_id,
        product_name,
        product_category,
        brand,
        cast(quantity as decimal(18, 4)) as quantity,
        cast(gross_amount + discount_amount as decimal(18, 4)) as list_amount,
        cast(discount_amount as decimal(18, 4)) as discount_amount,
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        local_hour,
        event_date,
        created_at
    from all_lines

)

select * from line_rows
