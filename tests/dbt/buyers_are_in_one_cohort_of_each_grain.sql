{{ config(meta={'dagster': {'ref': {'name': 'cohort_members'}}}) }}

-- Generated acquisition cohorts partition the buyers: one month, one quarter, one week each.
with memberships as (

    select
        members.user_id,
        members.customer_id,
        count(*) filter (where cohorts.period_grain = 'month') as month_count,
        count(*) filter (where cohorts.period_grain = 'quarter') as quarter_count,
        count(*) filter (where cohorts.period_grain = 'week') as week_count
    from {{ ref('cohort_members') }} as members
    inner join {{ ref('cohorts') }} as cohorts on members.cohort_id = cohorts.id
    where cohorts.cohort_key like 'acquisition:%'
    group by members.user_id, members.customer_id

),

buyers as (

    select
        user_id,
        customer_id
    from {{ ref('customer_behavior_summary') }}
    where total_purchases > 0

),

failures as (

    select
        user_id,
        customer_id,
        memberships.month_count,
        memberships.quarter_count,
        memberships.week_count,
        buyers.customer_id is not null as is_buyer
    from memberships
    full outer join buyers using (user_id, customer_id)
    where
        (memberships.month_count, memberships.quarter_count, memberships.week_count) is distinct from (1, 1, 1)
        or buyers.customer_id is null

)

select * from failures
