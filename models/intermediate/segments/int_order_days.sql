{{ config(materialized='table') }}

with order_lines as (

    select * from {{ ref('order_lines') }}

),

clock as (

    select * from {{ ref('int_segment_clock') }}

),

lines_by_day as (

    select
        order_lines.user_id,
        order_lines.customer_id,
        order_lines.order_id,
        order_lines.event_date,
        sum(order_lines.gross_amount) as gross_amount,
        bool_or(order_lines.discount_amount > 0) as is_discounted,
        min(order_lines.created_at) as first_at,
        arg_min(order_lines.local_hour, (order_lines.created_at, order_lines.id)) as local_hour
    from order_lines
    inner join clock on order_lines.user_id = clock.user_id and order_lines.event_date <= clock.as_of_date
    group by order_lines.user_id, order_lines.customer_id, order_lines.order_id, order_lines.event_date

),

-- Everything is dated by itself: a line of a later day changes nothing of the days before it.
orders as (

    select
        user_id,
        customer_id,
        order_id,
        min(event_date) as order_date,
        min(event_date) filter (where is_discounted) as discount_date,
        min(first_at) as ordered_at,
        arg_min(local_hour, event_date) as local_hour,
        arg_min(gross_amount, event_date) as first_day_amount
    from lines_by_day
    group by user_id, customer_id, order_id

),

facts as (

    select
        user_id,
        customer_id,
        order_date as fact_date,
        1 as orders,
        0 as discounted_orders,
        local_hour,
        {{ iso_weekday('order_date') }} >= 6 as is_weekend,
        extract(quarter from order_date) as order_quarter,
        first_day_amount,
        ordered_at,
        order_id
    from orders

    union all

    select
        user_id,
        customer_id,
        discount_date as fact_date,
        0 as orders,
        1 as discounted_orders,
        null as local_hour,
        null as is_weekend,
        null as order_quarter,
        null as first_day_amount,
        null as ordered_at,
        null as order_id
    from orders
    where discount_date is not null

),

order_days as (

    select
        user_id,
        customer_id,
        fact_date,
        sum(orders) as orders,
        max(orders) as visits,
        sum(discounted_orders) as discounted_orders,
        count(*) filter (where local_hour between 5 and 10) as morning_orders,
        count(*) filter (where local_hour between 11 and 13) as lunch_orders,
        count(*) filter (where local_hour between 14 and 16) as afternoon_orders,
        count(*) filter (where local_hour between 17 and 20) as dinner_orders,
        count(*) filter (where local_hour not between 5 and 20) as night_orders,
        count(*) filter (where is_weekend) as weekend_orders,
        {%- for quarter in [1, 2, 3, 4] %}
            count(*) filter (where order_quarter = {{ quarter }}) as quarter_{{ quarter }}_orders,
        {%- endfor %}
        arg_min(first_day_amount, (ordered_at, order_id)) filter (where orders = 1) as first_order_amount
    from facts
    group by user_id, customer_id, fact_date

)

select * from order_days
