with churn as (

    select * from {{ ref('int_customer_churn') }}

),

bands as (

    select * from {{ ref('churn_bands') }}
    where scheme = 'four_band'

),

levels as (

    select
        churn.user_id,
        churn.customer_id,
        churn.churn_score,
        bands.band as churn_risk_level
    from churn
    left join bands
        on
            churn.churn_score between bands.lower_bound and bands.upper_bound
            and (churn.churn_score > bands.lower_bound or bands.is_lower_inclusive)
            and (churn.churn_score < bands.upper_bound or bands.is_upper_inclusive)

)

select * from levels
