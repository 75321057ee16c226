{{ config(meta={'dagster': {'ref': {'name': 'customer_churn_scores'}}}) }}

-- One churn score of a customer, wherever it is published, in the band that holds it.
with scores as (

    select * from {{ ref('customer_churn_scores') }}

),

bands as (

    select * from {{ ref('churn_bands') }}
    where scheme = 'four_band'

),

failures as (

    select
        scores.user_id,
        scores.customer_id
    from scores
    left join bands on {{ is_in_band('scores.churn_score', 'bands') }}
    left join {{ ref('customer_ltv_predictions') }} as predictions
        on scores.user_id = predictions.user_id and scores.customer_id = predictions.customer_id
    left join {{ ref('customer_segments') }} as segments
        on scores.user_id = segments.organization_id and scores.customer_id = segments.customer_id
    left join {{ ref('customer_attributes') }} as attributes
        on scores.user_id = attributes.user_id and scores.customer_id = attributes.customer_id
    where
        scores.risk_segment is distinct from bands.band
        or (scores.churn_score is null) <> (scores.no_prediction_reason is not null)
        or scores.churn_score is distinct from predictions.churn_probability
        or scores.churn_score is distinct from segments.churn_score
        or scores.risk_segment is distinct from segments.churn_risk_level
        or scores.churn_score is distinct from attributes.churn_probability
        or predictions.predicted_ltv_1year is distinct from cast(attributes.predicted_ltv_1year as decimal(18, 4))

)

select * from failures
