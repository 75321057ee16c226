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
        coalesce(orders_by_day.order_count, 0) as order_count,
        coalesce(sessions_by_day.session_count, 0) as session_count,
        customer_daily.engagement_event_count,
        customer_daily.open_and_click_count,
        customer_daily.support_ticket_count + customer_daily.billing_complaint_count as ticket_count,
        customer_daily.gross_amount,
        customer_daily.discount_amount,
        customer_daily.refund_amount,
        customer_daily.event_date,
        case when orders_by_day.order_count > 0 then customer_daily.event_date end as purchase_date
    from customer_daily
    inner join clock
        on customer_daily.user_id = clock.user_id and customer_daily.event_date <= clock.as_of_date
    left join orders_by_day
        on
            customer_daily.user_id = orders_by_day.user_id
            and customer_daily.customer_id = orders_by_day.customer_id
            and customer_daily.event_date = orders_by_day.order_date
    left join sessions_by_day
        on
            customer_daily.user_id = sessions_by_day.user_id
            and customer_daily.customer_id = sessions_by_day.customer_id
            and customer_daily.event_date = sessions_by_day.start_date

),

with_gaps as (

    select
        *,
        case
            when purchase_date is not null
                then {{ days_between(
                    'max(purchase_date) over (
                        partition by user_id, customer_id
                        order by event_date
                        rows between unbounded preceding and 1 preceding
                    )',
                    'purchase_date'
                ) }}
        end as gap_days
    from days

)

select * from with_gaps
