{{ config(materialized='table') }}

{% set columns = measure_columns().keys() | list + [
    'first_order_date', 'last_order_date', 'last_event_date', 'first_order_value'
] %}
{% set windows = measure_windows().keys() | list + measure_rfm_window().keys() | list %}

with days as (

    select * from {{ ref('int_customer_days') }}

),

window_moves as (

    select * from {{ ref('int_window_moves') }}

),

-- What happened before the first date that is due counts on it, where windows still hold it.
day_moves as (

    select
        customer_number,
        greatest(event_date, due_from_date) as from_date,
        {%- for column in measure_totals() %}
            sum({{ column }}) as {{ column }},
        {%- endfor %}
        {%- for column, (fact, entered, left) in measure_windows().items() %}
            sum({{ fact }}) filter (
                where event_date > due_from_date - {{ left }}
                {%- if entered %} and event_date <= due_from_date - {{ entered }}{% endif %}
            ) as {{ column }},
        {%- endfor %}
        {%- for column, fact in measure_rfm_window().items() %}
            sum({{ fact }}) filter (where coalesce(event_date > due_from_date - rfm_window_days, true)) as {{ column }},
        {%- endfor %}
        min(event_date) filter (where orders > 0) as first_order_date,
        max(event_date) filter (where orders > 0) as last_order_date,
        max(event_date) as last_event_date,
        arg_min(first_order_amount, event_date) filter (where orders > 0) as first_order_value
    from days
    group by customer_number, greatest(event_date, due_from_date)

),

all_moves as (

    select
        {{ columns | join(', ') }},
        customer_number,
        from_date
    from day_moves

    union all

    select
        {%- for column in columns %}
            {{ column if column in windows else 'null' }} as {{ column }},
        {%- endfor %}
        customer_number,
        from_date
    from window_moves

),

moves as (

    select
        customer_number,
        from_date,
        {%- for column, type in measure_columns().items() %}
            cast({{ column }} as {{ type }}) as {{ column }},
        {%- endfor %}
        first_order_date,
        last_order_date,
        last_event_date,
        first_order_value
    from all_moves

)

select * from moves
