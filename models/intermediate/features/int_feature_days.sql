{{ config(materialized='table') }}

with customer_daily as (

    select * from {{ ref('customer_daily') }}

),

orders as (

    select * from {{ ref('orders') }}
    where not is_unmatched_refund

),

sessions as (

    select * from {{ ref('sessions') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

orders_by_day as (

    select
        user_id,
        customer_id,
        order_date,
        count(*) as order_count
    from orders
    group by user_id, customer_id, order_date

),

with_gaps as (

    select
        *,
        {{ days_between(
            'lag(order_date) over (partition by user_id, customer_id order by order_date)', 'order_date'
        ) }} as gap_days
    from orders_by_day

),

-- By the date of the start: the end, and whether the session is an engaged one, may still hang on later events.
sessions_by_day as (

    select
        sessions.user_id,
        sessions.customer_id,
        cast({{ local_time('sessions.started_at', 'clock.timezone') }} as date) as start_date,
        count(*) as session_count
    from sessions
    inner join clock on sessions.user_id = clock.user_id
    group by sessions.user_id, sessions.customer_id, start_date

),

days as (

    select
        customer_daily.user_id,
        customer_daily.customer_id,
        coalesce(with_gaps.order_count, 0) as order_count,
        coalesce(sessions_by_day.session_count, 0) as session_count,
        customer_daily.engagement_event_count,
        customer_daily.open_and_click_count,
        customer_daily.support_ticket_count + customer_daily.billing_complaint_count as ticket_count,
        customer_daily.gross_amount,
        customer_daily.discount_amount,
        customer_daily.refund_amount,
        customer_daily.event_date,
        with_gaps.order_date as purchase_date,
        with_gaps.gap_days
    from customer_daily
    inner join clock
        on customer_daily.user_id = clock.user_id and customer_daily.event_date <= clock.as_of_date
    left join with_gaps
        on
            customer_daily.user_id = with_gaps.user_id
            and customer_daily.customer_id = with_gaps.customer_id
            and customer_daily.event_date = with_gaps.order_date
    left join sessions_by_day
        on
            customer_daily.user_id = sessions_by_day.user_id
            and customer_daily.customer_id = sessions_by_day.customer_id
            and customer_daily.event_date = sessions_by_day.start_date

)

select * from days
