{{ config(meta={'dagster': {'ref': {'name': 'segment_distribution'}}}) }}

-- The twelve segments of a tenant hold its customers, and their shares are of all of them.
with distribution as (

    select * from {{ ref('segment_distribution') }}

),

customers as (

    select
        user_id,
        count(*) as customer_count
    from {{ ref('customers') }}
    group by user_id

),

sums as (

    select
        organization_id,
        count(*) as segment_count,
        sum(count) as customer_count,
        min(total_customers) as lowest_total,
        max(total_customers) as highest_total,
        abs(sum(percentage) - 100) as lost_percentage
    from distribution
    group by organization_id

),

failures as (

    select coalesce(customers.user_id, sums.organization_id) as user_id
    from customers
    full outer join sums on customers.user_id = sums.organization_id
    where
        sums.segment_count is distinct from 12
        or sums.customer_count is distinct from coalesce(customers.customer_count, 0)
        or sums.lowest_total is distinct from sums.customer_count
        or sums.highest_total is distinct from sums.customer_count
        -- Twelve shares, each rounded to a hundredth.
        or sums.lost_percentage > 0.06

)

select * from failures
