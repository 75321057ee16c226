{{ config(meta={'dagster': {'ref': {'name': 'behavioral_analytics'}}}) }}

-- The stocks are running sums over all dates: on the last one they must be what the customers themselves say.
with last_dates as (

    select analytics.*
    from {{ ref('behavioral_analytics') }} as analytics
    inner join {{ ref('data_as_of') }} as clock
        on
            analytics.user_id = clock.user_id
            and analytics.date = clock.as_of_date
    where analytics.segment_id is null

),

customers as (

    select
        customers.user_id,
        count(*) as total_customers,
        count(customers.last_seen_date) as seen_customers,
        count(*) filter (
            where customers.last_seen_date > {{ add_days('behavior.as_of_date', '- tenants.active_days') }}
        ) as active_customers,
        count(*) filter (
            where
            behavior.days_since_purchase >= tenants.at_risk_days
            and behavior.days_since_purchase < tenants.churned_days
        ) as at_risk_customers,
        count(*) filter (where behavior.days_since_purchase >= tenants.churned_days) as churned_customers,
        count(*) filter (where behavior.total_purchases >= 1) as buyers,
        count(*) filter (where behavior.total_purchases >= 2) as repeat_buyers
    from {{ ref('customers') }} as customers
    inner join {{ ref('customer_behavior_summary') }} as behavior
        on
            customers.user_id = behavior.user_id
            and customers.customer_id = behavior.customer_id
    inner join {{ ref('int_tenants') }} as tenants on customers.user_id = tenants.user_id
    group by customers.user_id

),

differences as (

    select
        last_dates.user_id,
        last_dates.date,
        customers.active_customers,
        customers.at_risk_customers,
        customers.churned_customers
    from last_dates
    inner join customers on last_dates.user_id = customers.user_id
    where
        last_dates.total_customers <> customers.total_customers
        or last_dates.total_customers - last_dates.customers_without_event <> customers.seen_customers
        or last_dates.active_customers <> customers.active_customers
        or last_dates.at_risk_customers <> customers.at_risk_customers
        or last_dates.churned_customers <> customers.churned_customers
        or last_dates.buyers_to_date <> customers.buyers
        or last_dates.repeat_buyers_to_date <> customers.repeat_buyers

)

select * from differences
