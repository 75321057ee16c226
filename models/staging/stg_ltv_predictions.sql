with ltv_predictions as (

    select
        *,
        false as is_repeated
    from {{ source('raw', 'ltv_predictions') }}

),

repeated_ltv_predictions as (

    select
        *,
        true as is_repeated
    from {{ source('raw', 'duplicate_ltv_predictions') }}

),

all_rows as (

    select * from ltv_predictions
    union all
    select * from repeated_ltv_predictions

),

typed as (

    select
        row_id as prediction_id,
        user_id,
        customer_id,
        growth_potential,
        cast(current_ltv as decimal(18, 4)) as current_ltv,
        cast(predicted_ltv_1year as decimal(18, 4)) as predicted_ltv_1year,
        cast(predicted_ltv_3year as decimal(18, 4)) as predicted_ltv_3year,
        cast(predicted_ltv_5year as decimal(18, 4)) as predicted_ltv_5year,
        churn_probability,
        confidence_score,
        is_repeated,
        updated_at,
        load_id,
        file_id,
        record_number
    from all_rows

)

select * from typed
