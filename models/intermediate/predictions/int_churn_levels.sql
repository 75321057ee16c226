with predictions as (

    select * from {{ ref('int_customer_predictions') }}
    where churn_probability is not null

),

bands as (

    select * from {{ ref('churn_bands') }}

),

banded as (

    select
        predictions.user_id,
        predictions.customer_id,
        predictions.churn_probability as churn_score,
        predictions.churn_source as score_source,
        min(bands.band) filter (where bands.scheme = 'four_band') as churn_risk_level,
        min(bands.band) filter (where bands.scheme = 'three_band') as churn_category
    from predictions
    left join bands on {{ is_in_band('predictions.churn_probability', 'bands') }}
    group by
        predictions.user_id, predictions.customer_id, predictions.churn_probability, predictions.churn_source

)

select * from banded
