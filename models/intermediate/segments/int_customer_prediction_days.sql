{{ config(materialized='table') }}

with customers as (

    select * from {{ ref('int_segment_customers') }}

),

tenants as (

    select distinct
        user_id,
        due_from_date,
        as_of_date
    from customers

),

-- Which recordings are needed is known before any prediction is read: there is a row of each for every customer.
recordings as (

    select recordings.*
    from {{ ref('int_prediction_recordings') }} as recordings
    inner join tenants
        on
            recordings.user_id = tenants.user_id
            and recordings.as_of_date <= tenants.as_of_date
            and coalesce(recordings.until_date > tenants.due_from_date, true)

),

predictions as (

    select
        recording_id,
        user_id,
        customer_id,
        churn_probability,
        predicted_ltv_1year
    from {{ ref('stg_predictions') }}

),

uploads as (

    select * from {{ ref('int_uploaded_spells') }}

),

-- A prediction holds from its own as-of date to that of the next recording, and not before.
spells as (

    select
        predictions.user_id,
        predictions.customer_id,
        'model' as kind,
        predictions.churn_probability,
        predictions.predicted_ltv_1year,
        recordings.as_of_date as from_date,
        recordings.until_date
    from predictions
    inner join recordings on predictions.recording_id = recordings.recording_id

    union all

    select
        user_id,
        customer_id,
        kind,
        churn_probability,
        predicted_ltv_1year,
        from_date,
        until_date
    from uploads

),

prediction_days as (

    select
        customers.customer_number,
        spells.kind,
        spells.churn_probability,
        cast(spells.predicted_ltv_1year as double) as predicted_ltv_1year,
        spells.from_date,
        coalesce(spells.until_date, date '9999-12-31') as until_date,
        customers.as_of_date,
        customers.due_from_date
    from spells
    inner join customers on spells.user_id = customers.user_id and spells.customer_id = customers.customer_id
    where
        spells.from_date <= customers.as_of_date
        and coalesce(spells.until_date > customers.due_from_date, true)

)

select * from prediction_days
