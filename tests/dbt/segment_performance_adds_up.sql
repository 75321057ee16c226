{{ config(meta={'dagster': {'ref': {'name': 'segment_performance'}}}) }}

-- What stands in two marts is the same in both; rates lie within their bounds; the running sums end as the members
-- themselves stand at as_of_date.
with performance as (

    select * from {{ ref('segment_performance') }}

),

analytics as (

    select * from {{ ref('behavioral_analytics') }}
    where segment_id is not null

),

sizes as (

    select * from {{ ref('segment_size_daily') }}
    where is_active

),

differing_rows as (

    select
        user_id,
        segment_id,
        date
    from performance
    full outer join analytics using (user_id, segment_id, date)
    full outer join sizes using (user_id, segment_id, date)
    where
        performance.member_count is distinct from analytics.total_customers
        or performance.member_count is distinct from sizes.member_count
        or performance.active_members is distinct from analytics.active_customers
        or performance.revenue_generated is distinct from analytics.revenue
        or performance.order_count is distinct from analytics.total_purchases
        or performance.active_members > performance.member_count
        or performance.churned_members > performance.retainable_members
        or performance.churn_rate not between 0 and 1
        or abs(performance.churn_rate + performance.retention_rate - 1) > 1e-9
        or performance.engagement_score not between 0 and 100
        or (performance.member_count > 0) <> (performance.lifetime_value is not null)
        or performance.order_count > performance.orders_last_30_days
        or performance.buyers_that_day > performance.members_with_event
        or performance.members_with_event > performance.active_members

),

members as (

    select
        spells.user_id,
        spells.segment_key,
        clock.as_of_date as date,
        sum(behavior.total_spent) as net_to_date,
        count(*) filter (
            where customers.last_seen_date > {{ add_days('clock.as_of_date', '- tenants.active_days') }}
        ) as active_members
    from {{ ref('int_segment_spells') }} as spells
    inner join {{ ref('int_segment_clock') }} as clock on spells.user_id = clock.user_id
    inner join {{ ref('int_tenants') }} as tenants on spells.user_id = tenants.user_id
    inner join {{ ref('customers') }} as customers
        on
            spells.user_id = customers.user_id
            and spells.customer_id = customers.customer_id
    inner join {{ ref('customer_behavior_summary') }} as behavior
        on
            spells.user_id = behavior.user_id
            and spells.customer_id = behavior.customer_id
    where spells.left_date is null
    group by spells.user_id, spells.segment_key, clock.as_of_date

),

differing_ends as (

    select
        performance.user_id,
        performance.segment_id,
        performance.date
    from performance
    inner join members
        on
            performance.user_id = members.user_id
            and performance.segment_key = members.segment_key
            and performance.date = members.date
    where
        performance.net_to_date <> members.net_to_date
        or performance.active_members <> members.active_members

),

failures as (

    select * from differing_rows
    union all
    select * from differing_ends

)

select * from failures
