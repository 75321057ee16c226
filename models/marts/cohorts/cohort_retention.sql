with cells as (

    select * from {{ ref('int_cohort_cells') }}

),

purchases as (

    select * from {{ ref('int_cohort_purchases') }}

),

counted as (

    select
        cells.*,
        case when cells.is_complete then cells.member_count else 0 end as eligible_count,
        coalesce(purchases.return_on_count, 0) as return_on_count,
        sum(coalesce(purchases.last_purchase_count, 0)) over (
            partition by cells.cohort_id, cells.acquisition_channel
            order by cells.period_number desc
            rows unbounded preceding
        ) as return_on_or_after_count,
        coalesce(purchases.order_count, 0) as order_count,
        coalesce(purchases.revenue, 0) as revenue,
        sum(coalesce(purchases.order_count, 0)) over to_date as cumulative_order_count,
        sum(coalesce(purchases.revenue, 0)) over to_date as cumulative_revenue
    from cells
    left join purchases
        on
            cells.cohort_id = purchases.cohort_id
            and cells.acquisition_channel is not distinct from purchases.acquisition_channel
            and cells.period_number = purchases.period_number
    window to_date as (
        partition by cells.cohort_id, cells.acquisition_channel
        order by cells.period_number
        rows unbounded preceding
    )

),

retention as (

    select
        {{ surrogate_uuid(['cohort_id', 'acquisition_channel', 'period_number']) }} as id,
        user_id,
        cohort_id,
        acquisition_channel,
        period_grain,
        cast(period_number as integer) as period_number,
        cast(member_count as bigint) as member_count,
        cast(eligible_count as bigint) as eligible_count,
        cast(return_on_count as bigint) as return_on_count,
        cast(return_on_or_after_count as bigint) as return_on_or_after_count,
        cast(order_count as bigint) as order_count,
        cast(cumulative_order_count as bigint) as cumulative_order_count,
        cast(revenue as decimal(18, 4)) as revenue,
        cast(cumulative_revenue as decimal(18, 4)) as cumulative_revenue,
        -- Nobody is eligible in an incomplete cell: its rates are null.
        return_on_count / nullif(eligible_count, 0) as return_on_rate,
        return_on_or_after_count / nullif(eligible_count, 0) as return_on_or_after_rate,
        order_count / nullif(eligible_count, 0) as orders_per_member,
        cumulative_order_count / nullif(eligible_count, 0) as cumulative_orders_per_member,
        cast(revenue / nullif(eligible_count, 0) as decimal(18, 4)) as revenue_per_member,
        cast(cumulative_revenue / nullif(eligible_count, 0) as decimal(18, 4)) as cumulative_revenue_per_member,
        is_complete,
        period_start_date,
        period_end_date
    from counted

)

select * from retention
