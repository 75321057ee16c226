{{ config(materialized='table') }}

{#- Days after which the last window has forgotten a date. -#}
{% set longest_window = 180 %}

with customers as (

    select * from {{ ref('int_segment_customers') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

order_days as (

    select * from {{ ref('int_order_days') }}

),

tenants as (

    select
        user_id,
        rfm_window_days
    from {{ ref('int_tenants') }}

),

-- The days after which a day enters or leaves a window; null stands for the tenant's own.
shifts (day_count) as (

    values (0), (30), (60), (90), (180), (null)

),

facts as (

    select
        customers.customer_number,
        customers.due_from_date,
        customers.as_of_date,
        tenants.rfm_window_days,
        customer_daily.event_date,
        order_days.first_order_amount,
        {%- for column, type in measure_totals().items() %}
            cast({{ column }} as {{ type }}) as {{ column }},
        {%- endfor %}
        1 as active_days
    from customer_daily
    inner join customers
        on
            customer_daily.user_id = customers.user_id
            and customer_daily.customer_id = customers.customer_id
            and customer_daily.event_date <= customers.as_of_date
    inner join tenants on customer_daily.user_id = tenants.user_id
    left join order_days
        on
            customer_daily.user_id = order_days.user_id
            and customer_daily.customer_id = order_days.customer_id
            and customer_daily.event_date = order_days.fact_date

),

-- What happened before the first date that is due counts on it; windows that ended by then never show.
shifted as (

    select
        facts.*,
        shifts.day_count,
        greatest(
            {{ add_days('facts.event_date', 'coalesce(shifts.day_count, facts.rfm_window_days)') }},
            facts.due_from_date
        ) as from_date
    from facts
    cross join shifts
    where
        shifts.day_count = 0
        or (
            facts.event_date > facts.due_from_date - greatest({{ longest_window }}, facts.rfm_window_days)
            and {{ add_days('facts.event_date', 'coalesce(shifts.day_count, facts.rfm_window_days)') }}
            <= facts.as_of_date
        )

),

moves as (

    select
        customer_number,
        from_date,
        {%- for column, type in measure_totals().items() %}
            cast(sum({{ column }}) filter (where day_count = 0) as {{ type }}) as {{ column }},
        {%- endfor %}
        {%- for column, (fact, entered, left) in measure_windows().items() %}
            cast(
                sum({{ fact }} * case day_count when {{ entered }} then 1 when {{ left }} then -1 end)
                filter (where event_date > due_from_date - {{ left }}) as integer
            ) as {{ column }},
        {%- endfor %}
        {%- for column, fact in measure_rfm_window().items() %}
            cast(
                sum({{ fact }} * case when day_count = 0 then 1 when day_count is null then -1 end)
                filter (where coalesce(event_date > due_from_date - rfm_window_days, true))
                as {{ measure_totals()[fact] }}
            ) as {{ column }},
        {%- endfor %}
        min(event_date) filter (where orders > 0) as first_order_date,
        max(event_date) filter (where orders > 0) as last_order_date,
        max(event_date) as last_event_date,
        arg_min(first_order_amount, event_date) filter (where orders > 0) as first_order_value
    from shifted
    group by customer_number, from_date

)

select * from moves
