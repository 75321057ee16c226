{#- Customers of a tenant that either rank shows. -#}
{% set shown = 1000 %}

with predictions as (

    select
        *,
        coalesce(predicted_ltv_1year, current_ltv) as customer_value,
        case
            when predicted_ltv_1year is not null then 'predicted_ltv_1year'
            when current_ltv is not null then 'current_ltv'
        end as value_basis
    from {{ ref('int_customer_predictions') }}
    where churn_probability is not null

),

levels as (

    select * from {{ ref('int_churn_levels') }}

),

ranked as (

    select
        *,
        cast(coalesce(churn_probability * customer_value, 0) as decimal(18, 4)) as value_at_risk,
        row_number() over (
            partition by user_id order by churn_probability desc, customer_value desc nulls last, customer_id asc
        ) as churn_rank,
        row_number() over (
            partition by user_id
            order by coalesce(churn_probability * customer_value, 0) desc, churn_probability desc, customer_id asc
        ) as value_at_risk_rank
    from predictions

),

at_risk as (

    select
        {{ surrogate_uuid(['ranked.user_id', 'ranked.customer_id']) }} as id,
        ranked.user_id,
        ranked.customer_id,
        ranked.churn_source as score_source,
        levels.churn_risk_level as risk_segment,
        ranked.value_basis,
        cast(ranked.churn_rank as integer) as churn_rank,
        cast(ranked.value_at_risk_rank as integer) as value_at_risk_rank,
        ranked.churn_probability,
        ranked.current_ltv,
        ranked.predicted_ltv_1year,
        ranked.value_at_risk,
        ranked.as_of_date
    from ranked
    inner join levels on ranked.user_id = levels.user_id and ranked.customer_id = levels.customer_id
    where least(ranked.churn_rank, ranked.value_at_risk_rank) <= {{ shown }}

)

select * from at_risk
