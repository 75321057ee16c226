{{ config(meta={'dagster': {'ref': {'name': 'prediction_outcomes'}}}) }}

-- An outcome is known once its horizon has passed, and only what was predicted before has one.
with outcomes as (

    select * from {{ ref('prediction_outcomes') }}

),

clock as (

    select * from {{ ref('int_tenant_clock') }}

),

failures as (

    select outcomes.id
    from outcomes
    left join clock on outcomes.user_id = clock.user_id
    where
        outcomes.closed_date <> {{ add_days('outcomes.as_of_date', 'outcomes.horizon_days') }}
        or coalesce(outcomes.closed_date > clock.as_of_date, true)
        or outcomes.purchase_days < 0
        or outcomes.purchase_days > outcomes.horizon_days
        or outcomes.has_purchased <> (outcomes.purchase_days > 0)
        or outcomes.purchase_probability not between 0 and 1
        or outcomes.churn_probability not between 0 and 1

)

select * from failures
