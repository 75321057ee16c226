with predictions as (

    select * from {{ ref('int_customer_predictions') }}

),

levels as (

    select * from {{ ref('int_churn_levels') }}

),

scored as (

    select
        {{ surrogate_uuid(['predictions.user_id', 'predictions.customer_id']) }} as id,
        predictions.user_id,
        predictions.customer_id,
        predictions.churn_probability as churn_score,
        levels.churn_risk_level as risk_segment,
        levels.churn_category,
        predictions.churn_source as score_source,
        case when predictions.churn_source = 'model' then predictions.model_version end as model_version,
        case when predictions.churn_source is null then predictions.no_model_reason end as no_prediction_reason,
        case when predictions.churn_source is not null then predictions.churn_horizon_days end as churn_horizon_days,
        predictions.as_of_date,
        case predictions.churn_source
            when 'uploaded' then predictions.churn_uploaded_at
            when 'model' then predictions.predicted_at
        end as prediction_date,
        predictions.as_of_at as updated_at
    from predictions
    left join levels
        on predictions.user_id = levels.user_id and predictions.customer_id = levels.customer_id

)

select * from scored
