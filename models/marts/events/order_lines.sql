{{ config(
    materialized='incremental',
    incremental_strategy='replace_dates',
    date_column='event_date',
    meta={'published_by': 'event_date'}
) }}

with purchases as (

    select * from {{ ref('customer_behavior_events') }}
    where
        {{ is_touched('event_date') }}
        and event_type = 'purchase'

),

listed_lines as (

    select
        id as event_id,
        {{ unnest_json_array('event_properties', 'lines') }} as listed_line,
        {{ unnest_positions('event_properties', 'lines') }} as line_number
    from purchases
    where {{ json_has_items('event_properties', 'lines') }}

),

parsed_lines as (

    select
        event_id,
        line_number,
        {{ json_text('listed_line', 'product_id') }} as product_id,
        {{ json_text('listed_line', 'product_name') }} as product_name,
        {{ json_text('listed_line', 'product_category') }} as product_category,
        coalesce(try_cast({{ json_text('listed_line', 'quantity') }} as decimal(18, 4)), 1) as quantity,
        coalesce(try_cast({{ json_text('listed_line', 'value') }} as decimal(18, 4)), 0) as gross_amount,
        coalesce(try_cast({{ json_text('listed_line', 'discount') }} as decimal(18, 4)), 0) as discount_amount
    from listed_lines

),

totals_of_lists as (

    select
        event_id,
        sum(gross_amount) as gross_amount
    from parsed_lines
    group by event_id

),

single_lines as (

    select
        purchases.id as event_id,
        1 as line_number,
        purchases.product_id,
        purchases.product_name,
        purchases.product_category,
        coalesce(try_cast({{ json_text('purchases.event_properties', 'quantity') }} as decimal(18, 4)), 1) as quantity,
        coalesce(purchases.event_value, 0) as gross_amount,
        coalesce(try_cast({{ json_text('purchases.event_properties', 'discount') }} as decimal(18, 4)), 0)
            as discount_amount
    from purchases
    where purchases.id not in (select totals_of_lists.event_id from totals_of_lists)

),

-- What was charged is the event's value: shipping, tax or rounding that no listed line holds stands in line 0.
remainders as (

    select
        purchases.id as event_id,
        0 as line_number,
        cast(null as varchar) as product_id,
        cast(null as varchar) as product_name,
        cast(null as varchar) as product_category,
        cast(0 as decimal(18, 4)) as quantity,
        purchases.event_value - totals_of_lists.gross_amount as gross_amount,
        cast(0 as decimal(18, 4)) as discount_amount
    from purchases
    inner join totals_of_lists on purchases.id = totals_of_lists.event_id
    where purchases.event_value <> totals_of_lists.gross_amount

),

all_lines as (

    select * from parsed_lines
    union all
    select * from single_lines
    union all
    select * from remainders

),

line_rows as (

    select
        {{ surrogate_uuid(['purchases.id', 'all_lines.line_number']) }} as id,
        purchases.user_id,
        purchases.customer_id,
        coalesce(purchases.order_id, cast(purchases.id as varchar)) as order_id,
        all_lines.event_id,
        cast(all_lines.line_number as integer) as line_number,
        all_lines.product_id,
        all_lines.product_name,
        all_lines.product_category,
        all_lines.quantity,
        cast(all_lines.gross_amount + all_lines.discount_amount as decimal(18, 4)) as list_amount,
        all_lines.discount_amount,
        cast(all_lines.gross_amount as decimal(18, 4)) as gross_amount,
        purchases.local_hour,
        purchases.event_date,
        purchases.created_at
    from all_lines
    inner join purchases on all_lines.event_id = purchases.id

)

select * from line_rows
