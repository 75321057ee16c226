{{ config(meta={'dagster': {'ref': {'name': 'top_at_risk'}}}) }}

-- Ranks follow what they rank by, and nobody with a higher churn probability is left out.
with at_risk as (

    select * from {{ ref('top_at_risk') }}

),

scores as (

    select * from {{ ref('customer_churn_scores') }}
    where churn_score is not null

),

out_of_order as (

    select
        user_id,
        customer_id
    from at_risk
    qualify
        churn_probability > lag(churn_probability) over (partition by user_id order by churn_rank)
        or value_at_risk > lag(value_at_risk) over (partition by user_id order by value_at_risk_rank)

),

lowest_shown as (

    select
        user_id,
        min(churn_probability) as churn_probability
    from at_risk
    where churn_rank <= 1000
    group by user_id

),

left_out as (

    select
        scores.user_id,
        scores.customer_id
    from scores
    left join lowest_shown on scores.user_id = lowest_shown.user_id
    left join at_risk on scores.user_id = at_risk.user_id and scores.customer_id = at_risk.customer_id
    where at_risk.customer_id is null and coalesce(scores.churn_score > lowest_shown.churn_probability, true)

),

failures as (

    select * from out_of_order
    union all
    select * from left_out

)

select * from failures
