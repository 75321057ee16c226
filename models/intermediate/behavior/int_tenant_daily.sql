with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

customer_daily as (

    select * from {{ ref('customer_daily') }}

),

orders as (

    select * from {{ ref('orders') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

dates as (

    select
        user_id,
        {{ unnest_days('first_event_date', 'as_of_date') }} as event_date
    from clock

),

events_by_date as (

    select
        user_id,
        event_date,
        count(*) as customers_with_event,
        sum(event_count) as total_events,
        sum(page_view_count) as total_page_views,
        sum(product_view_count) as total_product_views,
        sum(add_to_cart_count) as total_add_to_cart,
        sum(refund_amount) as refund_amount
    from customer_daily
    group by user_id, event_date

),

orders_by_date as (

    select
        user_id,
        order_date,
        count(*) as total_purchases,
        count(distinct customer_id) as buyers_that_day,
        sum(gross_amount) as gross_amount
    from orders
    where not is_unmatched_refund
    group by user_id, order_date

),

-- A session before the cut hour belongs to the day before, which for the first one is no day of the tenant yet.
sessions_by_date as (

    select
        sessions.user_id,
        greatest(sessions.session_date, clock.first_event_date) as session_date,
        count(*) as session_count,
        count(*) filter (where sessions.is_engaged) as engaged_session_count,
        sum(sessions.duration_seconds) as session_seconds
    from sessions
    inner join clock on sessions.user_id = clock.user_id
    group by sessions.user_id, greatest(sessions.session_date, clock.first_event_date)

),

daily as (

    select
        dates.user_id,
        dates.event_date,
        coalesce(events_by_date.customers_with_event, 0) as customers_with_event,
        coalesce(events_by_date.total_events, 0) as total_events,
        coalesce(events_by_date.total_page_views, 0) as total_page_views,
        coalesce(events_by_date.total_product_views, 0) as total_product_views,
        coalesce(events_by_date.total_add_to_cart, 0) as total_add_to_cart,
        coalesce(events_by_date.refund_amount, 0) as refund_amount,
        coalesce(orders_by_date.total_purchases, 0) as total_purchases,
        coalesce(orders_by_date.buyers_that_day, 0) as buyers_that_day,
        coalesce(orders_by_date.gross_amount, 0) as gross_amount,
        coalesce(sessions_by_date.session_count, 0) as session_count,
        coalesce(sessions_by_date.engaged_session_count, 0) as engaged_session_count,
        coalesce(sessions_by_date.session_seconds, 0) as session_seconds
    from dates
    left join events_by_date
        on
            dates.user_id = events_by_date.user_id
            and dates.event_date = events_by_date.event_date
    left join orders_by_date
        on
            dates.user_id = orders_by_date.user_id
            and dates.event_date = orders_by_date.order_date
    left join sessions_by_date
        on
            dates.user_id = sessions_by_date.user_id
            and dates.event_date = sessions_by_date.session_date

)

select * from daily
