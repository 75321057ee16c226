{{ config(materialized='table') }}

with customers as (

    select * from {{ ref('int_segment_customers') }}

),

order_lines as (

    select * from {{ ref('order_lines') }}

),

{% set kinds = {'category': 'product_category', 'brand': 'brand'} %}

named_lines as (

    {% for kind, column in kinds.items() %}
        select
            customers.customer_number,
            '{{ kind }}' as kind,
            order_lines.{{ column }} as named,
            order_lines.order_id,
            greatest(order_lines.event_date, customers.due_from_date) as from_date,
            order_lines.created_at
        from order_lines
        inner join customers
            on
                order_lines.user_id = customers.user_id
                and order_lines.customer_id = customers.customer_id
                and order_lines.event_date <= customers.as_of_date
        where order_lines.{{ column }} is not null
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

lines as (

    select
        customer_number,
        kind,
        named,
        from_date,
        count(*) as line_count,
        0 as order_count,
        max(created_at) as last_at
    from named_lines
    group by customer_number, kind, named, from_date

),

-- An order holds a name from its first line with it on.
holding_orders as (

    select
        customer_number,
        kind,
        named,
        min(from_date) as from_date
    from named_lines
    group by customer_number, kind, named, order_id

),

lines_and_orders as (

    select * from lines

    union all

    select
        customer_number,
        kind,
        named,
        from_date,
        0 as line_count,
        count(*) as order_count,
        null as last_at
    from holding_orders
    group by customer_number, kind, named, from_date

),

counted as (

    select
        customer_number,
        kind,
        named,
        from_date,
        sum(sum(line_count)) over to_date as line_count,
        sum(sum(order_count)) over to_date as order_count,
        max(last_at) as last_at
    from lines_and_orders
    group by customer_number, kind, named, from_date
    window to_date as (partition by customer_number, kind, named order by from_date rows unbounded preceding)

),

-- The favourite category has the most lines, as preferred_category has it; the favourite brand is in the most orders.
-- Counts only grow, so that whoever leads has the greatest row so far: greatest count, then the latest, then the name.
by_date as (

    select
        customer_number,
        kind,
        from_date,
        min((
            case kind when 'brand' then -order_count else -line_count end,
            -epoch_us(last_at),
            named,
            order_count
        )) as place
    from counted
    group by customer_number, kind, from_date

),

leaders as (

    select
        customer_number,
        kind,
        from_date,
        lead(from_date) over timeline as until_date,
        min(place) over to_date as place
    from by_date
    window
        timeline as (partition by customer_number, kind order by from_date),
        to_date as (partition by customer_number, kind order by from_date rows unbounded preceding)

),

favourites as (

    select
        customer_number,
        kind,
        from_date,
        until_date,
        place[3] as favourite,
        place[4] as order_count
    from leaders

)

select * from favourites
