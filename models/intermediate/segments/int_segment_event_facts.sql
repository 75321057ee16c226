-- Only the event types that rules name are read, and of purchases the lines.
{{ config(materialized='table') }}

with clauses as (

    select * from {{ ref('int_segment_clauses') }}
    where value_type = 'event'

),

order_lines as (

    select * from {{ ref('order_lines') }}

),

events as (

    select * from {{ ref('customer_behavior_events') }}
    where event_type in (select distinct clauses.subject from clauses)

),

-- Rules that count the same events share their facts, whatever the window.
counted as (

    select distinct
        user_id,
        subject,
        match_key,
        lower(match_value) as match_value,
        sum_property,
        subject = 'purchase' and sum_property is null and coalesce(match_key in ('category', 'product', 'brand'), true)
            as is_of_lines
    from clauses

),

line_facts as (

    select
        order_lines.user_id,
        order_lines.customer_id,
        counted.subject,
        counted.match_key,
        counted.match_value,
        counted.sum_property,
        order_lines.event_date,
        count(distinct order_lines.event_id) as event_count,
        sum(order_lines.gross_amount) as event_sum
    from order_lines
    inner join counted on order_lines.user_id = counted.user_id and counted.is_of_lines
    where
        counted.match_key is null
        or (counted.match_key = 'category' and lower(order_lines.product_category) = counted.match_value)
        or (counted.match_key = 'brand' and lower(order_lines.brand) = counted.match_value)
        or (
            counted.match_key = 'product'
            and counted.match_value in (lower(order_lines.product_id), lower(order_lines.product_name))
        )
    group by all

),

event_facts as (

    select
        events.user_id,
        events.customer_id,
        counted.subject,
        counted.match_key,
        counted.match_value,
        counted.sum_property,
        events.event_date,
        count(*) as event_count,
        sum(
            case
                when counted.sum_property is null then events.event_value
                else try_cast({{ json_text_of('events.event_properties', 'counted.sum_property') }} as decimal(18, 4))
            end
        ) as event_sum
    from events
    inner join counted
        on
            events.user_id = counted.user_id
            and events.event_type = counted.subject
            and not counted.is_of_lines
    where
        counted.match_key is null
        or (counted.match_key = 'category' and lower(events.product_category) = counted.match_value)
        or (
            counted.match_key = 'product'
            and counted.match_value in (lower(events.product_id), lower(events.product_name))
        )
        or (
            counted.match_key not in ('category', 'product')
            and lower({{ json_text_of('events.event_properties', 'counted.match_key') }}) = counted.match_value
        )
    group by all

),

facts as (

    select * from line_facts
    union all
    select * from event_facts

)

select * from facts
