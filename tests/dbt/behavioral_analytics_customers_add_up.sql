{{ config(meta={'dagster': {'ref': {'name': 'behavioral_analytics'}}}) }}

-- New customers up to a date and those known by signup only are all customers of that date; each stock lies within
-- the next wider one.
with analytics as (

    select
        *,
        sum(new_customers) over (
            partition by user_id
            order by date
            rows unbounded preceding
        ) as new_customers_to_date
    from {{ ref('behavioral_analytics') }}
    where segment_id is null

),

failures as (

    select
        user_id,
        date,
        total_customers,
        new_customers_to_date,
        customers_without_event
    from analytics
    where
        total_customers <> new_customers_to_date + customers_without_event
        or customers_without_event < 0
        or customers_with_event > active_customers
        or active_customers > new_customers_to_date
        or at_risk_customers + churned_customers > buyers_to_date
        or buyers_that_day > customers_with_event
        or repeat_buyers_to_date > buyers_to_date
        or buyers_to_date > new_customers_to_date

)

select * from failures
