with clock as (

    select * from {{ ref('int_tenant_clock') }}

),

recordings as (

    select * from {{ ref('int_prediction_recordings') }}

),

predictions as (

    select * from {{ ref('stg_predictions') }}

),

in_force as (

    select
        recordings.recording_id,
        recordings.user_id,
        recordings.churn_horizon_days,
        recordings.as_of_date,
        {{ utc_instant(add_days('recordings.as_of_date', 1), 'clock.timezone') }} as predicted_at
    from recordings
    inner join clock
        on
            recordings.user_id = clock.user_id
            and recordings.as_of_date <= clock.as_of_date
            and coalesce(recordings.until_date > clock.as_of_date, true)

),

model_predictions as (

    select
        predictions.* exclude (churn_horizon_days), -- noqa: RF02
        in_force.churn_horizon_days,
        in_force.predicted_at
    from predictions
    inner join in_force
        on predictions.recording_id = in_force.recording_id and predictions.user_id = in_force.user_id

)

select * from model_predictions
