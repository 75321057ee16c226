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

days as (

    select
        customers.user_id,
        customers.customer_number,
        customers.due_from_date,
        customers.as_of_date,
        tenants.rfm_window_days,
        customer_daily.event_date,
        {%- for column, type in measure_totals().items() %}
            cast({{ column }} as {{ type }}) as {{ column }},
        {%- endfor %}
        1 as active_days,
        order_days.first_order_amount
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

)

select * from days
