with predictions as (

    select * from {{ ref('int_customer_predictions') }}

),

propensities as (

    select
        {{ surrogate_uuid(['user_id', 'customer_id']) }} as id,
        user_id,
        customer_id,
        case when purchase_probability_90_days is not null then model_version end as model_version,
        case when purchase_probability_90_days is null then no_model_reason end as no_prediction_reason,
        purchase_probability_30_days,
        purchase_probability_90_days,
        expected_purchases_90_days,
        expected_spend_90_days,
        expected_spend_90_days_low,
        expected_spend_90_days_high,
        expected_next_order_date,
        as_of_date,
        case when purchase_probability_90_days is not null then predicted_at end as prediction_date
    from predictions

)

select * from propensities
