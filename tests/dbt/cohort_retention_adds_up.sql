{{ config(meta={'dagster': {'ref': {'name': 'cohort_retention'}}}) }}

-- Channels partition a cohort: their cells sum to the cell of all channels. And the monthly acquisition cohorts
-- partition the buyers: their revenue and orders sum to those of the summary.
with cells as (

    select * from {{ ref('cohort_retention') }}

),

by_cell as (

    select
        user_id,
        cohort_id,
        period_number,
        max(member_count) filter (where acquisition_channel is null) as members_of_all,
        sum(member_count) filter (where acquisition_channel is not null) as members_of_channels,
        max(return_on_or_after_count) filter (where acquisition_channel is null) as returned_of_all,
        sum(return_on_or_after_count) filter (where acquisition_channel is not null) as returned_of_channels,
        max(return_on_count) filter (where acquisition_channel is null) as active_of_all,
        sum(return_on_count) filter (where acquisition_channel is not null) as active_of_channels,
        max(revenue) filter (where acquisition_channel is null) as revenue_of_all,
        sum(revenue) filter (where acquisition_channel is not null) as revenue_of_channels
    from cells
    group by user_id, cohort_id, period_number

),

differing_cells as (

    select
        user_id,
        cast(cohort_id as varchar) as cohort,
        period_number
    from by_cell
    where
        members_of_all <> coalesce(members_of_channels, 0)
        or returned_of_all <> coalesce(returned_of_channels, 0)
        or active_of_all <> coalesce(active_of_channels, 0)
        or revenue_of_all <> coalesce(revenue_of_channels, 0)

),

cohort_totals as (

    select
        cells.user_id,
        sum(cells.order_count) as order_count,
        sum(cells.revenue) as revenue
    from cells
    inner join {{ ref('cohorts') }} as cohorts on cells.cohort_id = cohorts.id
    where
        cells.acquisition_channel is null
        and cohorts.cohort_key like 'acquisition:month:%'
    group by cells.user_id

),

buyer_totals as (

    select
        user_id,
        sum(total_purchases) as order_count,
        sum(total_spent) as revenue
    from {{ ref('customer_behavior_summary') }}
    where total_purchases > 0
    group by user_id

),

differing_totals as (

    select
        user_id,
        'all months' as cohort,
        cast(null as integer) as period_number
    from cohort_totals
    full outer join buyer_totals using (user_id)
    where
        cohort_totals.order_count is distinct from buyer_totals.order_count
        or cohort_totals.revenue is distinct from buyer_totals.revenue

),

failures as (

    select * from differing_cells
    union all
    select * from differing_totals

)

select * from failures
