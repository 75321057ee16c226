{{ config(materialized='table') }}

with moves as (

    select * from {{ ref('int_customer_moves') }}

),

customers_with_several as (

    select customer_number
    from moves
    group by customer_number
    having count(*) > 1

),

running as (

    select
        customer_number,
        from_date,
        lead(from_date) over timeline as until_date,
        {%- for column, type in measure_columns().items() %}
            cast(coalesce(sum({{ column }}) over to_date, 0) as {{ type }}) as {{ column }},
        {%- endfor %}
        min(first_order_date) over to_date as first_order_date,
        max(last_order_date) over to_date as last_order_date,
        max(last_event_date) over to_date as last_event_date,
        first_value(first_order_value ignore nulls) over to_date as first_order_value
    from moves
    where customer_number in (select several.customer_number from customers_with_several as several)
    window
        timeline as (partition by customer_number order by from_date),
        to_date as (partition by customer_number order by from_date)

),

-- On a day's run almost everybody has one row, which needs no running sums: forty of them cost 10 s per million rows.
standing as (

    select
        customer_number,
        from_date,
        cast(null as date) as until_date,
        {%- for column in measure_columns() %}
            coalesce({{ column }}, 0) as {{ column }},
        {%- endfor %}
        first_order_date,
        last_order_date,
        last_event_date,
        first_order_value
    from moves
    where customer_number not in (select several.customer_number from customers_with_several as several)

),

-- Of several moves on one date, all but one are over at once.
measures as (

    select * from running
    where from_date < coalesce(until_date, date '9999-12-31')
    union all
    select * from standing

)

select * from measures
