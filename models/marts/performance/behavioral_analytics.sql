{% set columns = [
    'user_id', 'date', 'known_customers', 'seen_customers', 'active_customers', 'at_risk_customers', 'churned_customers',
    'buyer_customers', 'repeat_buyer_customers', 'new_customers', 'newly_churned_customers', 'customers_with_event',
    'total_events', 'total_page_views', 'total_product_views', 'total_add_to_cart', 'total_purchases', 'buyers_that_day',
    'gross_amount', 'refund_amount', 'session_count', 'engaged_session_count', 'session_seconds'
] %}

with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

tenants as (

    select
        *,
        event_date as date
    from {{ ref('int_tenant_stocks') }}

),

segments as (

    select
        *,
        member_customers as known_customers
    from {{ ref('int_segment_daily') }}
    where is_active

),

stocks as (

    select
        cast(null as varchar) as segment_key,
        cast(null as uuid) as segment_id,
        cast(null as boolean) as is_additive,
        {{ columns | join(',\n        ') }}
    from tenants

    union all

    select
        segment_key,
        segment_id,
        is_exclusive as is_additive,
        {{ columns | join(',\n        ') }}
    from segments

),

-- Where refunds outweigh what was charged, nothing is shared.
revenues as (

    select
        user_id,
        date,
        cast(greatest(gross_amount - refund_amount, 0) as double) as revenue
    from tenants

),

analytics as (

    select
        {{ surrogate_uuid(['stocks.user_id', 'stocks.segment_key', 'stocks.date']) }} as id,
        stocks.user_id,
        stocks.segment_id,
        stocks.date,
        cast(stocks.known_customers as integer) as total_customers,
        cast(stocks.new_customers as integer) as new_customers,
        cast(stocks.active_customers as integer) as active_customers,
        cast(stocks.at_risk_customers as integer) as at_risk_customers,
        cast(stocks.churned_customers as integer) as churned_customers,
        cast(stocks.total_page_views as integer) as total_page_views,
        cast(stocks.total_product_views as integer) as total_product_views,
        cast(stocks.total_add_to_cart as integer) as total_add_to_cart,
        cast(stocks.total_purchases as integer) as total_purchases,
        stocks.buyers_that_day / nullif(stocks.customers_with_event, 0) as conversion_rate,
        stocks.session_seconds / nullif(stocks.session_count, 0) / 60 as avg_session_duration_minutes,
        1 - stocks.engaged_session_count / nullif(stocks.session_count, 0) as bounce_rate,
        stocks.repeat_buyer_customers / nullif(stocks.buyer_customers, 0) as repeat_purchase_rate,
        cast(stocks.gross_amount / nullif(stocks.total_purchases, 0) as decimal(18, 4)) as avg_order_value,
        cast(stocks.gross_amount - stocks.refund_amount as decimal(18, 4)) as revenue,
        {{ utc_instant(add_days('stocks.date', 1), 'clock.timezone') }} as created_at,
        cast(stocks.known_customers - stocks.seen_customers as bigint) as customers_without_event,
        cast(stocks.customers_with_event as bigint) as customers_with_event,
        cast(stocks.buyers_that_day as bigint) as buyers_that_day,
        cast(stocks.buyer_customers as bigint) as buyers_to_date,
        cast(stocks.repeat_buyer_customers as bigint) as repeat_buyers_to_date,
        cast(stocks.newly_churned_customers as bigint) as newly_churned_customers,
        cast(stocks.session_count as bigint) as session_count,
        cast(stocks.engaged_session_count as bigint) as engaged_session_count,
        cast(stocks.session_seconds as bigint) as session_seconds,
        cast(stocks.total_events as bigint) as total_events,
        cast(stocks.gross_amount as decimal(18, 4)) as gross_amount,
        cast(stocks.refund_amount as decimal(18, 4)) as refund_amount,
        case
            when stocks.segment_key is not null
                then cast(stocks.gross_amount - stocks.refund_amount as double) / nullif(revenues.revenue, 0)
        end as revenue_share,
        stocks.is_additive
    from stocks
    inner join clock on stocks.user_id = clock.user_id
    left join revenues on stocks.user_id = revenues.user_id and stocks.date = revenues.date

)

select * from analytics
