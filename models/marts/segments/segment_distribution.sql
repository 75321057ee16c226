with customers as (

    select
        organization_id as user_id,
        segment,
        count(*) as customer_count
    from {{ ref('customer_segments') }}
    group by organization_id, segment

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

segments as (

    select * from {{ ref('rfm_segments') }}

),

-- A segment without customers has its row, too.
sizes as (

    select
        clock.user_id,
        segments.segment,
        segments.sort_order,
        segments.description,
        segments.recommended_action,
        segments.expected_share_low,
        segments.expected_share_high,
        coalesce(customers.customer_count, 0) as customer_count,
        coalesce(sum(customers.customer_count) over (partition by clock.user_id), 0) as total_customers,
        clock.as_of_date
    from clock
    cross join segments
    left join customers on clock.user_id = customers.user_id and segments.segment = customers.segment

),

distribution as (

    select
        {{ surrogate_uuid(['user_id', 'segment']) }} as id,
        user_id as organization_id,
        segment,
        {{ json_object({'description': 'description', 'action': 'recommended_action'}) }} as metadata,
        cast(total_customers as bigint) as total_customers,
        customer_count as count,
        cast(round(100.0 * customer_count / nullif(total_customers, 0), 2) as decimal(5, 2)) as percentage,
        sort_order,
        expected_share_low,
        expected_share_high,
        as_of_date
    from sizes

)

select * from distribution
