{{ config(meta={'dagster': {'ref': {'name': 'customer_outcomes'}}}) }}

-- What came between two dates of features is what the features of the later date have more than those of the earlier.
with features as (

    select * from {{ ref('customer_features') }}

),

outcomes as (

    select * from {{ ref('customer_outcomes') }}

),

differences as (

    select
        outcomes.user_id,
        outcomes.customer_id,
        outcomes.as_of_date,
        outcomes.horizon_days
    from outcomes
    inner join features as earlier
        on
            outcomes.user_id = earlier.user_id
            and outcomes.customer_id = earlier.customer_id
            and outcomes.as_of_date = earlier.as_of_date
    inner join features as later
        on
            outcomes.user_id = later.user_id
            and outcomes.customer_id = later.customer_id
            and {{ add_days('outcomes.as_of_date', 'outcomes.horizon_days') }} = later.as_of_date
    where
        later.total_spend - earlier.total_spend <> outcomes.spend
        or later.purchase_days - earlier.purchase_days <> outcomes.purchase_days

)

select * from differences
