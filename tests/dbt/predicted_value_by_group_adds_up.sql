{{ config(meta={'dagster': {'ref': {'name': 'predicted_value_by_group'}}}) }}

-- The groups of every kind hold all customers and all value of the tenant.
with value_by_group as (

    select * from {{ ref('predicted_value_by_group') }}

),

kinds as (

    select
        user_id,
        group_type,
        sum(customer_count) as customer_count,
        sum(predicted_count) as predicted_count,
        sum(churn_scored_count) as churn_scored_count,
        sum(current_ltv) as current_ltv,
        sum(predicted_ltv_1year) as predicted_ltv_1year,
        sum(expected_spend_1year) as expected_spend_1year
    from value_by_group
    group by user_id, group_type

),

tenants as (

    select
        user_id,
        count(*) as customer_count,
        count(predicted_ltv_1year) as predicted_count,
        count(churn_probability) as churn_scored_count,
        sum(current_ltv) as current_ltv,
        sum(predicted_ltv_1year) as predicted_ltv_1year,
        sum(expected_spend_1year) as expected_spend_1year
    from {{ ref('customer_ltv_predictions') }}
    group by user_id

),

group_types (group_type) as (

    values ('all'), ('segment'), ('acquisition_cohort'), ('acquisition_channel')

),

failures as (

    select
        tenants.user_id,
        group_types.group_type
    from tenants
    cross join group_types
    left join kinds on tenants.user_id = kinds.user_id and group_types.group_type = kinds.group_type
    where
        tenants.customer_count is distinct from kinds.customer_count
        or tenants.predicted_count is distinct from kinds.predicted_count
        or tenants.churn_scored_count is distinct from kinds.churn_scored_count
        or tenants.current_ltv is distinct from kinds.current_ltv
        or tenants.predicted_ltv_1year is distinct from kinds.predicted_ltv_1year
        or tenants.expected_spend_1year is distinct from kinds.expected_spend_1year

)

select * from failures
