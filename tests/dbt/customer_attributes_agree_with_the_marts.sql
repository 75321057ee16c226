{{ config(meta={'dagster': {'ref': {'name': 'customer_attributes'}}}) }}

-- What rules of segments look at on the as-of date is what the marts publish of it. RFM with a window of the tenant's
-- own is left out: orders carry their refunds into it, here refunds have their own dates.
with attributes as (

    select * from {{ ref('customer_attributes') }}

),

summaries as (

    select * from {{ ref('customer_behavior_summary') }}

),

customers as (

    select * from {{ ref('customers') }}

),

rfm_segments as (

    select * from {{ ref('customer_segments') }}

),

tenants as (

    select * from {{ ref('int_tenants') }}

),

wrong as (

    select
        customers.user_id,
        customers.customer_id
    from customers
    inner join tenants on customers.user_id = tenants.user_id
    inner join summaries
        on customers.user_id = summaries.user_id and customers.customer_id = summaries.customer_id
    inner join rfm_segments
        on
            customers.user_id = rfm_segments.organization_id
            and customers.customer_id = rfm_segments.customer_id
    full outer join attributes
        on customers.user_id = attributes.user_id and customers.customer_id = attributes.customer_id
    where
        attributes.order_count is distinct from summaries.total_purchases
        or attributes.total_spent is distinct from cast(summaries.total_spent as double)
        or attributes.days_since_last_order is distinct from summaries.days_since_purchase
        or attributes.orders_per_month is distinct from summaries.orders_per_month
        or attributes.purchase_frequency_days is distinct from summaries.purchase_frequency_days
        or attributes.event_count_to_date is distinct from summaries.total_events
        or (
            attributes.favourite_category is distinct from summaries.preferred_category
            and attributes.favourite_category is not null
        )
        or attributes.tenure_days
        is distinct from {{ dbt.datediff('customers.first_seen_date', 'attributes.as_of_date', 'day') }}
        or attributes.city is distinct from customers.city
        or attributes.email_opt_in is distinct from customers.email_opt_in
        or (attributes.rfm_segment is distinct from rfm_segments.rfm_segment and tenants.rfm_window_days is null)

)

select * from wrong
