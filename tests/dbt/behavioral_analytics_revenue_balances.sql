{{ config(meta={'dagster': {'ref': {'name': 'behavioral_analytics'}}}) }}

-- revenue = gross - refunds on every date; over all dates, gross, refunds and orders are those of mart orders.
with analytics as (

    select * from {{ ref('behavioral_analytics') }}
    where segment_id is null

),

unbalanced_dates as (

    select
        user_id,
        date
    from analytics
    where revenue <> gross_amount - refund_amount

),

totals_of_analytics as (

    select
        user_id,
        sum(total_purchases) as order_count,
        sum(gross_amount) as gross_amount,
        sum(refund_amount) as refund_amount
    from analytics
    group by user_id

),

totals_of_orders as (

    select
        user_id,
        count(*) filter (where not is_unmatched_refund) as order_count,
        sum(gross_amount) as gross_amount,
        sum(refund_amount) as refund_amount
    from {{ ref('orders') }}
    group by user_id

),

differing_totals as (

    select
        user_id,
        cast(null as date) as date
    from totals_of_analytics
    full outer join totals_of_orders using (user_id)
    where
        coalesce(totals_of_analytics.order_count, 0) <> coalesce(totals_of_orders.order_count, 0)
        or coalesce(totals_of_analytics.gross_amount, 0) <> coalesce(totals_of_orders.gross_amount, 0)
        or coalesce(totals_of_analytics.refund_amount, 0) <> coalesce(totals_of_orders.refund_amount, 0)

),

failures as (

    select * from unbalanced_dates
    union all
    select * from differing_totals

)

select * from failures
