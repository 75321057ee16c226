with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

daily as (

    select * from {{ ref('int_tenant_daily') }}

),

presence_changes as (

    select * from {{ ref('int_presence_changes') }}

),

purchase_state_changes as (

    select * from {{ ref('int_purchase_state_changes') }}

),

changes as (

    select * from presence_changes
    union all
    select * from purchase_state_changes

),

{% set states = ['known', 'seen', 'active', 'at_risk', 'churned', 'buyer', 'repeat_buyer'] %}

changes_by_date as (

    select
        changes.user_id,
        -- Who signed up before the tenant's first event counts from the first date that there is.
        greatest(changes.change_date, clock.first_event_date) as change_date,
        {%- for state in states %}
            sum(changes.entered_count - changes.left_count) filter (where changes.state = '{{ state }}')
                as {{ state }}_change,
        {%- endfor %}
        sum(changes.entered_count) filter (where changes.state = 'seen') as new_customers,
        sum(changes.entered_count) filter (where changes.state = 'churned') as newly_churned_customers
    from changes
    inner join clock on changes.user_id = clock.user_id
    group by changes.user_id, greatest(changes.change_date, clock.first_event_date)

),

stocks as (

    select
        daily.*,
        {%- for state in states %}
            coalesce(sum(changes_by_date.{{ state }}_change) over to_date, 0) as {{ state }}_customers,
        {%- endfor %}
        coalesce(changes_by_date.new_customers, 0) as new_customers,
        coalesce(changes_by_date.newly_churned_customers, 0) as newly_churned_customers
    from daily
    left join changes_by_date
        on
            daily.user_id = changes_by_date.user_id
            and daily.event_date = changes_by_date.change_date
    window to_date as (
        partition by daily.user_id
        order by daily.event_date
        rows unbounded preceding
    )

),

analytics as (

    select
        {{ surrogate_uuid(['stocks.user_id', 'null', 'stocks.event_date']) }} as id,
        stocks.user_id,
        cast(null as varchar) as segment_id,
        stocks.event_date as date,
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
        {{ utc_instant(add_days('stocks.event_date', 1), 'clock.timezone') }} as created_at,
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
        cast(stocks.refund_amount as decimal(18, 4)) as refund_amount
    from stocks
    inner join clock on stocks.user_id = clock.user_id

)

select * from analytics
