with predictions as (

    select * from {{ ref('int_customer_predictions') }}

),

-- Expected spend and its interval are the model's: they explain its values, and not those that somebody uploaded.
described as (

    select
        {{ surrogate_uuid(['user_id', 'customer_id']) }} as id,
        user_id,
        customer_id,
        current_ltv,
        predicted_ltv_1year,
        predicted_ltv_3year,
        predicted_ltv_5year,
        churn_probability,
        growth_potential,
        confidence_score,
        case when ltv_source = 'uploaded' then ltv_uploaded_at else predicted_at end as prediction_date,
        first_predicted_at as created_at,
        as_of_at as updated_at,
        ltv_source as score_source,
        churn_source as churn_score_source,
        case when ltv_source = 'model' then model_version end as model_version,
        case when ltv_source is null then no_model_reason end as no_prediction_reason,
        {%- for years in [1, 3, 5] %}
            {%- for part in ['', '_low', '_high'] %}
                {%- set column = 'expected_spend_' ~ years ~ 'year' ~ part %}
                case when ltv_source = 'model' then {{ column }} end as {{ column }},
            {%- endfor %}
        {%- endfor %}
        case when ltv_source = 'model' then validated_horizon_days end as validated_horizon_days,
        case when ltv_source = 'model' then is_cold_start end as is_cold_start,
        case when ltv_source = 'model' then is_extrapolated end as is_extrapolated,
        as_of_date
    from predictions

)

select * from described
