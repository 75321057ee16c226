{{ config(materialized='table') }}

with customer_daily as (

    select * from {{ ref('customer_daily') }}

),

clock as (

    select
        user_id,
        as_of_date
    from {{ ref('int_tenant_clock') }}

),

activity as (

    select
        customer_daily.user_id,
        customer_daily.customer_id,
        sum(customer_daily.event_count) as event_count,
        sum(customer_daily.page_view_count) as page_view_count,
        sum(customer_daily.product_view_count) as product_view_count,
        sum(customer_daily.add_to_cart_count) as add_to_cart_count,
        min(customer_daily.first_event_at) as first_event_at,
        max(customer_daily.last_event_at) as last_event_at,
        min(customer_daily.event_date) as first_event_date,
        max(customer_daily.event_date) as last_event_date,
        arg_min(customer_daily.first_event_type, customer_daily.event_date) as first_event_type
    from customer_daily
    inner join clock on customer_daily.user_id = clock.user_id and customer_daily.event_date <= clock.as_of_date
    group by customer_daily.user_id, customer_daily.customer_id

)

select * from activity
