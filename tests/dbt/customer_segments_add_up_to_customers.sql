{{ config(meta={'dagster': {'ref': {'name': 'customer_segments'}}}) }}

-- Every customer is in exactly one of the twelve segments: their sizes sum to the customers of the tenant.
with segment_sizes as (

    select
        customer_segments.organization_id as user_id,
        segments.segment,
        count(*) as customer_count
    from {{ ref('customer_segments') }} as customer_segments
    inner join {{ ref('rfm_segments') }} as segments on customer_segments.segment = segments.segment
    group by customer_segments.organization_id, segments.segment

),

sums_of_sizes as (

    select
        user_id,
        sum(customer_count) as customer_count
    from segment_sizes
    group by user_id

),

customers as (

    select
        user_id,
        count(*) as customer_count
    from {{ ref('customers') }}
    group by user_id

),

differences as (

    select
        user_id,
        sums_of_sizes.customer_count as customers_in_segments,
        customers.customer_count as customers_in_all
    from sums_of_sizes
    full outer join customers using (user_id)
    where sums_of_sizes.customer_count is distinct from customers.customer_count

)

select * from differences
