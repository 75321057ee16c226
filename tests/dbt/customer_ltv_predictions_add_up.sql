{{ config(meta={'dagster': {'ref': {'name': 'customer_ltv_predictions'}}}) }}

-- Every customer is in it, with a value or with the reason why not; longer horizons hold shorter ones, and what the
-- model expects is what it adds to the value to date.
with predictions as (

    select * from {{ ref('customer_ltv_predictions') }}

),

customers as (

    select
        user_id,
        customer_id
    from {{ ref('customers') }}

),

failures as (

    select
        coalesce(customers.user_id, predictions.user_id) as user_id,
        coalesce(customers.customer_id, predictions.customer_id) as customer_id
    from customers
    full outer join predictions
        on customers.user_id = predictions.user_id and customers.customer_id = predictions.customer_id
    where
        customers.customer_id is null
        or predictions.customer_id is null
        or (predictions.score_source is null) <> (predictions.no_prediction_reason is not null)
        or (predictions.score_source is null and predictions.predicted_ltv_1year is not null)
        or (predictions.churn_score_source is null) <> (predictions.churn_probability is null)
        or predictions.churn_probability not between 0 and 1
        or predictions.confidence_score not between 0 and 1
        or predictions.predicted_ltv_1year > predictions.predicted_ltv_3year
        or predictions.predicted_ltv_3year > predictions.predicted_ltv_5year
        or predictions.expected_spend_1year not between predictions.expected_spend_1year_low
        and predictions.expected_spend_1year_high
        or abs(predictions.current_ltv + predictions.expected_spend_1year - predictions.predicted_ltv_1year) > 0.011
        or abs(predictions.current_ltv + predictions.expected_spend_3year - predictions.predicted_ltv_3year) > 0.011
        or abs(predictions.current_ltv + predictions.expected_spend_5year - predictions.predicted_ltv_5year) > 0.011

)

select * from failures
