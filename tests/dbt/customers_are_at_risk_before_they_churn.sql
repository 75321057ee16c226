{{ config(meta={'dagster': {'ref': {'name': 'int_tenants'}}}) }}

-- Two settings make one scale: a tenant that changes one of them may turn it over.
with tenants as (

    select * from {{ ref('int_tenants') }}

),

turned_over as (

    select
        user_id,
        at_risk_days,
        churned_days
    from tenants
    where at_risk_days >= churned_days

)

select * from turned_over
