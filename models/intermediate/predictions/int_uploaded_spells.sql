{{ config(materialized='table') }}

with uploads as (

    select * from {{ ref('int_uploaded_scores') }}

),

-- A row of ltv_predictions may say something of churn, of value, or of both.
by_kind as (

    select
        *,
        'churn' as kind
    from uploads
    where churn_probability is not null

    union all

    select
        *,
        'ltv' as kind
    from uploads
    where
        coalesce(predicted_ltv_1year, predicted_ltv_3year, predicted_ltv_5year, confidence_score) is not null
        or growth_potential is not null

),

-- Of several that are valid from one date the last counts; of one moment, a churn score before a prediction's churn.
last_of_date as (

    select *
    from by_kind
    qualify row_number() over (
        partition by user_id, customer_id, kind, valid_date
        order by updated_at desc, feed asc, load_id desc, file_id desc, record_number desc
    ) = 1

),

spells as (

    select
        user_id,
        customer_id,
        kind,
        growth_potential,
        current_ltv,
        predicted_ltv_1year,
        predicted_ltv_3year,
        predicted_ltv_5year,
        churn_probability,
        confidence_score,
        file_id,
        record_number,
        updated_at,
        valid_date as from_date,
        min(valid_date) over (partition by user_id, customer_id, kind) as first_date,
        lead(valid_date) over (partition by user_id, customer_id, kind order by valid_date) as until_date
    from last_of_date

)

select * from spells
